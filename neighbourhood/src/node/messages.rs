//! What peers say.

use super::api::{Misbehaviour, Output};
use super::core::Node;
use crate::consensus::{ConsensusMessage, RecoverError, Report, ReportRequest};
use crate::twin::TwinFinding;
use crate::wire::{Answer, Hello, PeerMessage, Status};
use frith_ledger::block::ChainKind;
use frith_ledger::certificate::Committee;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Millis};
use std::sync::Arc;

impl Node {
    /// A connection stands: both say who and how far they are, and members what brings the other up to
    /// date.
    pub(super) fn connected(&mut self, now: Millis, peer: PublicKey, out: &mut Vec<Output>) {
        if peer == self.me || !self.peers.connect(now, peer, &self.limits) {
            return;
        }
        self.send(peer, &PeerMessage::Hello(self.twin.hello()), out);
        self.send(peer, &PeerMessage::Status(self.status_message()), out);
        for (instance, nonce) in self.recovery.asked().collect::<Vec<_>>() {
            let committee = self.committee_of(instance.kind);
            if committee.is_some_and(|committee| committee.index_of(&peer).is_some()) {
                let request = ReportRequest { instance, nonce };
                self.send(peer, &PeerMessage::ReportRequest(request), out);
            }
        }
        let mut messages = Vec::new();
        let leaf = &self.leaf.core;
        if self.leaf.blocks.committee.index_of(&peer).is_some() {
            messages.extend(
                leaf.certificates()
                    .into_iter()
                    .map(|m| (ChainKind::Leaf, self.chain.epoch, m)),
            );
        }
        if let Some(root) = &self.root
            && root.blocks.committee.index_of(&peer).is_some()
        {
            messages.extend(
                root.core
                    .certificates()
                    .into_iter()
                    .map(|m| (ChainKind::Root, root.blocks.epoch(), m)),
            );
        }
        for (kind, epoch, message) in messages {
            self.send(
                peer,
                &PeerMessage::Consensus {
                    kind,
                    epoch,
                    message: Box::new(message),
                },
                out,
            );
        }
    }

    pub(super) fn misbehaved(peer: PublicKey, kind: Misbehaviour, out: &mut Vec<Output>) {
        out.push(Output::Misbehaviour { peer, kind });
    }

    /// One frame from a peer.
    pub(super) fn message(
        &mut self,
        now: Millis,
        from: PublicKey,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) {
        if self.peers.get_mut(&from).is_none() {
            return;
        }
        let message = match PeerMessage::from_bytes(bytes) {
            Ok(message) => message,
            Err(error) => return Self::misbehaved(from, Misbehaviour::Malformed(error), out),
        };
        match message {
            PeerMessage::Hello(hello) => self.hello(from, hello, out),
            PeerMessage::Relayed(hello) => self.relayed(from, &hello, out),
            PeerMessage::Answer(answer) => self.answer(from, &answer, out),
            PeerMessage::Status(status) => self.peers.note_status(now, &from, status),
            PeerMessage::Consensus {
                kind,
                epoch,
                message,
            } => {
                self.consensus(now, from, (kind, epoch), *message, bytes.len(), out);
            }
            PeerMessage::Batch(signed) => self.batch_offered(now, from, &signed, out),
            PeerMessage::Offer(digest) => self.offer(now, from, digest, out),
            PeerMessage::Ack(ack) => self.acknowledged(now, from, &ack, out),
            PeerMessage::Certified(certificate) => self.certified(now, from, *certificate, out),
            PeerMessage::ReportRequest(request) => self.report_asked(now, from, &request, out),
            PeerMessage::Report(report) => self.reported(now, from, *report, out),
            PeerMessage::Submit(bytes) => self.forwarded(now, from, bytes.into_inner()),
            PeerMessage::Request(request) => self.serve(now, from, request, out),
            PeerMessage::Response(response) => self.response(now, from, *response, out),
        }
    }

    /// A peer says which process it is. Another process than before may be its twin: it is told.
    fn hello(&mut self, from: PublicKey, hello: Hello, out: &mut Vec<Output>) {
        if hello.key != from || !hello.is_valid(&self.rules.hash) {
            return Self::misbehaved(from, Misbehaviour::Certificate { what: "a hello" }, out);
        }
        let before = self.peers.hello_of(&from);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.hello = Some(hello);
        }
        if before.is_some_and(|before| before.process != hello.process) {
            self.send(from, &PeerMessage::Relayed(hello), out);
        }
    }

    fn relayed(&mut self, from: PublicKey, hello: &Hello, out: &mut Vec<Output>) {
        match self.twin.relayed(hello, &self.key) {
            TwinFinding::Suspicion(answer) => self.send(from, &PeerMessage::Answer(answer), out),
            TwinFinding::Forged => {
                Self::misbehaved(from, Misbehaviour::Certificate { what: "a hello" }, out)
            }
            TwinFinding::None | TwinFinding::Found => {}
        }
    }

    /// An answer of this node's own key shows a twin; of the sender's key it goes back to whom it names.
    fn answer(&mut self, from: PublicKey, answer: &Answer, out: &mut Vec<Output>) {
        if answer.key == from {
            return self.send(from, &PeerMessage::Answer(*answer), out);
        }
        match self.twin.answered(answer) {
            TwinFinding::Found => {
                self.halt(
                    "another node runs with this key: stop one of them, or both lose their stake"
                        .to_owned(),
                    out,
                );
            }
            TwinFinding::Forged => {
                Self::misbehaved(from, Misbehaviour::Certificate { what: "an answer" }, out)
            }
            TwinFinding::None | TwinFinding::Suspicion(_) => {}
        }
    }

    /// How far this node is.
    pub(super) fn status_message(&self) -> Status {
        Status {
            epoch: self.chain.epoch,
            height: self.chain.head,
            first: self.chain.first,
            roots: self.roots.next(),
        }
    }

    /// The epoch of the root's instance that runs or begins next, and whether it runs.
    fn root_epoch(&self) -> (Epoch, bool) {
        match &self.root {
            Some(root) => (root.blocks.epoch(), true),
            None => (self.roots.next(), false),
        }
    }

    fn consensus(
        &mut self,
        now: Millis,
        from: PublicKey,
        (kind, epoch): (ChainKind, Epoch),
        message: ConsensusMessage,
        bytes: usize,
        out: &mut Vec<Output>,
    ) {
        let instance = message.instance();
        if (instance.kind, instance.epoch) != (kind, epoch) {
            let what = "a message of another instance than its frame says".to_owned();
            return Self::misbehaved(from, Misbehaviour::Consensus(what), out);
        }
        let (current, runs) = match kind {
            ChainKind::Leaf => (self.chain.epoch, true),
            ChainKind::Root => self.root_epoch(),
        };
        if epoch < current {
            if self.peers.may_nudge(now, &from) {
                self.send(from, &PeerMessage::Status(self.status_message()), out);
            }
        } else if epoch > current || !runs {
            // The root's instance of an epoch begins when the leaf has ended it.
            let reached = match kind {
                ChainKind::Leaf => epoch,
                ChainKind::Root => epoch.next(),
            };
            if reached > self.chain.epoch {
                self.peers.note_epoch(now, &from, reached);
            }
            if epoch <= current.next() && self.may_be_member(&from, epoch) {
                self.peers
                    .keep_early(&from, (kind, epoch), message, bytes, &self.limits);
            }
        } else {
            self.deliver(now, from, kind, message, out);
        }
    }

    /// Whether a peer is in a committee of `epoch`, as far as this node knows them.
    fn may_be_member(&self, peer: &PublicKey, epoch: Epoch) -> bool {
        let period = crate::membership::period_of(self.rules.parameters(), epoch);
        let leaf = [self.chain.epoch, epoch].map(|epoch| self.committees.leaf(epoch));
        let committees = leaf
            .into_iter()
            .chain([self.committees.root(period)])
            .flatten();
        committees
            .into_iter()
            .any(|committee| committee.index_of(peer).is_some())
    }

    fn deliver(
        &mut self,
        now: Millis,
        from: PublicKey,
        kind: ChainKind,
        message: ConsensusMessage,
        out: &mut Vec<Output>,
    ) {
        match kind {
            ChainKind::Leaf => {
                let Some(member) = self.leaf.blocks.committee.index_of(&from) else {
                    return;
                };
                self.leaf_call(now, out, |core, host, effects| {
                    core.message(now, host, member, message, effects)
                });
            }
            ChainKind::Root => {
                let member = self
                    .root
                    .as_ref()
                    .and_then(|root| root.blocks.committee.index_of(&from));
                let Some(member) = member else { return };
                self.root_call(now, out, |core, host, effects| {
                    core.message(now, host, member, message, effects)
                });
            }
        }
    }

    /// Delivers what came before its instance began.
    pub(super) fn deliver_early(&mut self, now: Millis, out: &mut Vec<Output>) {
        let epoch = self.chain.epoch;
        for (from, message) in self.peers.take_early(ChainKind::Leaf, epoch) {
            if self.chain.epoch == epoch {
                self.deliver(now, from, ChainKind::Leaf, message, out);
            }
        }
        let (epoch, runs) = self.root_epoch();
        if runs {
            for (from, message) in self.peers.take_early(ChainKind::Root, epoch) {
                if self.root_epoch() == (epoch, true) {
                    self.deliver(now, from, ChainKind::Root, message, out);
                }
            }
        }
    }

    /// A member lost its record: tells it what this node saw, or how far this node is.
    fn report_asked(
        &mut self,
        now: Millis,
        from: PublicKey,
        request: &ReportRequest,
        out: &mut Vec<Output>,
    ) {
        let instance = request.instance;
        let core = match instance.kind {
            ChainKind::Leaf => Some(&self.leaf.core),
            ChainKind::Root => self.root.as_ref().map(|root| &root.core),
        };
        match core
            .filter(|core| core.instance() == instance)
            .and_then(|core| core.report(request.nonce, &from))
        {
            Some(report) => self.send(from, &PeerMessage::Report(Box::new(report)), out),
            None => {
                if self.peers.may_nudge(now, &from) {
                    self.send(from, &PeerMessage::Status(self.status_message()), out);
                }
            }
        }
    }

    fn reported(&mut self, now: Millis, from: PublicKey, report: Report, out: &mut Vec<Output>) {
        let (kind, epoch) = (report.instance.kind, report.instance.epoch);
        let committee = match kind {
            ChainKind::Leaf => Some(&self.leaf.blocks.committee),
            ChainKind::Root => self.root.as_ref().map(|root| &root.blocks.committee),
        };
        // A member speaks for itself: others would only take the places.
        let speaks = committee.is_some_and(|c| c.index_of(&from) == Some(report.member));
        if !speaks || !self.recovery.report(from, report) || self.try_found(now, out) {
            return;
        }
        let Some(collection) = self.recovery.get(kind, epoch) else {
            return;
        };
        let (nonce, insists, reports): (_, _, Vec<Report>) = (
            collection.nonce,
            collection.insists,
            collection.reports.values().cloned().collect(),
        );
        let mut result = Err(RecoverError::NotAbstaining);
        match kind {
            ChainKind::Leaf => self.leaf_call(now, out, |core, host, effects| {
                result = core.recover(now, host, nonce, &reports, effects);
            }),
            ChainKind::Root => self.root_call(now, out, |core, host, effects| {
                result = core.recover(now, host, nonce, &reports, effects);
            }),
        }
        if insists && matches!(result, Err(RecoverError::NoQuorum { .. })) {
            let joined = self.join(now, kind, nonce, &reports, out);
            if joined != Err(RecoverError::NotAbstaining) {
                result = joined;
            }
        }
        if kind == ChainKind::Leaf && result == Err(RecoverError::NotAbstaining) {
            // It has no vote here, and learns how far an earlier process with its key can have come.
            result = self.leaf.core.attest(nonce, &reports);
        }
        match result {
            Err(RecoverError::NoQuorum { .. }) => {}
            Err(RecoverError::Store(error)) => self.halt(error.to_string(), out),
            Err(RecoverError::NotAbstaining) => self.recovery.end(kind, epoch),
            Ok(()) => {
                self.recovery.end(kind, epoch);
                if kind == ChainKind::Leaf {
                    self.recovery.witness(epoch);
                }
            }
        }
    }

    /// Lets a founder sign in an instance that stands, on its host's word.
    fn join(
        &mut self,
        now: Millis,
        kind: ChainKind,
        nonce: [u8; 32],
        reports: &[Report],
        out: &mut Vec<Output>,
    ) -> Result<(), RecoverError> {
        let mut result = Err(RecoverError::NotAbstaining);
        match kind {
            ChainKind::Leaf => self.leaf_call(now, out, |core, host, effects| {
                result = core.join(now, host, nonce, reports, effects);
            }),
            ChainKind::Root => self.root_call(now, out, |core, host, effects| {
                result = core.join(now, host, nonce, reports, effects);
            }),
        }
        if result.is_ok() {
            self.joined();
        }
        result
    }

    /// Who decides the instance of a kind that runs.
    fn committee_of(&self, kind: ChainKind) -> Option<&Arc<Committee>> {
        match kind {
            ChainKind::Leaf => Some(&self.leaf.blocks.committee),
            ChainKind::Root => self.root.as_ref().map(|root| &root.blocks.committee),
        }
    }

    /// Asks members what this node may have signed, where it doesn't know.
    pub(super) fn ask_reports(&mut self, now: Millis, out: &mut Vec<Output>) {
        for (instance, nonce) in self.recovery.due(now) {
            let Some(committee) = self.committee_of(instance.kind).cloned() else {
                continue;
            };
            let request = ReportRequest { instance, nonce };
            self.send_members(&committee, &PeerMessage::ReportRequest(request), out);
        }
    }
}
