//! Catching up with others: wants, blocks, records, the state.

use super::api::{Misbehaviour, NodeEvent, Output};
use super::core::{Copying, Node};
use crate::leaf::Fault;
use crate::membership::period_of;
use crate::persist::{self, Tail};
use crate::sync::{Copied, CopyError, CopyStep, StateCopy};
use crate::wire::{CertifiedBlocks, PeerMessage, Request, Response};
use frith_ledger::block::{BatchDigest, Block, ChainKind, Payload, Proposal};
use frith_ledger::key::PublicKey;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::store::Write;
use frith_ledger::units::{Epoch, Height, Millis};
use std::collections::BTreeSet;

/// Progress of a copy is said after so many entities.
const PROGRESS: u64 = 10_000;

/// What a batch of blocks led to.
enum Applied {
    All,
    Waits,
    Wrong,
}

impl Node {
    /// Wants what hosts found missing. Whether there was anything.
    pub(super) fn fetch_missing(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        let missing = std::mem::take(&mut self.missing);
        for digest in &missing.batches {
            let holders = self.holders_of(digest);
            self.wants.want(now, Request::Batch(*digest), holders);
        }
        if missing.root.is_some() {
            self.wants.want(
                now,
                Request::Roots {
                    from: self.roots.next(),
                },
                [],
            );
        }
        if !missing.contents.is_empty() {
            self.ask_contents(now, out);
        }
        false
    }

    /// Who acknowledged a batch, as far as this node knows.
    fn holders_of(&self, digest: &BatchDigest) -> Vec<PublicKey> {
        let certificate = self
            .pool
            .absent()
            .find(|certificate| certificate.batch == *digest);
        let Some(certificate) = certificate else {
            return Vec::new();
        };
        let Some(committee) = self.committees.leaf(certificate.instance.epoch) else {
            return Vec::new();
        };
        certificate
            .parts
            .iter()
            .filter_map(|(index, _)| committee.get(*index))
            .map(|member| member.key)
            .collect()
    }

    /// Sends requests that are due.
    pub(super) fn ask(&mut self, now: Millis, out: &mut Vec<Output>) {
        let connected = self.peers.connected().clone();
        for (peer, request) in self.wants.due(now, &connected) {
            self.send(peer, &PeerMessage::Request(request), out);
        }
    }

    /// Tells others how far this node is, when that changed.
    pub(super) fn tell(&mut self, out: &mut Vec<Output>) {
        let (all, observers) = (
            std::mem::take(&mut self.tell_all),
            std::mem::take(&mut self.tell_observers),
        );
        if !all && !observers {
            return;
        }
        let message = PeerMessage::Status(self.status_message());
        let peers: Vec<PublicKey> = self.peers.connected().iter().copied().collect();
        for peer in peers {
            if all || self.leaf.blocks.committee.index_of(&peer).is_none() {
                self.send(peer, &message, out);
            }
        }
    }

    fn behind_ms(&self) -> u64 {
        // A member hears of commits by consensus, if not for long; others only by asking.
        if self.seat().is_some() {
            self.limits.behind.get()
        } else {
            0
        }
    }

    /// When to look again whether this node is behind.
    pub(super) fn next_behind(&self) -> Option<Millis> {
        let ahead = self.peers.statuses().filter(|(_, status, _)| {
            status.epoch == self.chain.epoch
                && (status.height > self.chain.head || status.roots > self.roots.next())
        });
        ahead
            .map(|(_, _, since)| since.plus(self.behind_ms()))
            .filter(|at| *at > self.clock)
            .min()
    }

    /// Looks whether others are ahead, and wants what they have. Whether blocks could be applied.
    pub(super) fn catch_up(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        if self.copying.is_some() {
            self.watch_copy(now);
            return false;
        }
        let moved = self.apply_arrived(now, out);
        let (head, epoch, roots) = (self.chain.head, self.chain.epoch, self.roots.next());
        self.wants.retain(|request| match request {
            Request::Blocks { from } => *from == head.next(),
            Request::Roots { from } => *from == roots,
            Request::Proposal { .. } => false,
            Request::Checkpoint { .. } | Request::Range { .. } => false,
            Request::Batch(_) => true,
        });
        let (mut unserved, mut ahead, mut records) = (0_usize, Vec::new(), Vec::new());
        let patience = self.behind_ms();
        for (peer, status, since) in self.peers.statuses() {
            if self.distrusted.contains(peer) {
                continue;
            }
            let waited = now >= since.plus(patience);
            let past =
                status.epoch > epoch || (status.epoch == epoch && status.height > head && waited);
            if past && status.first <= head.next() {
                ahead.push(*peer);
            }
            unserved += usize::from(past && status.first > head.next());
            if status.roots > roots && roots <= epoch && (waited || status.epoch > epoch) {
                records.push(*peer);
            }
        }
        let nobody_serves = ahead.is_empty() && unserved * 2 > self.peers.connected().len();
        if nobody_serves || self.is_far() {
            self.begin_copy(now, out);
            return true;
        }
        if !ahead.is_empty() && self.arrived.is_none() {
            self.wants
                .want(now, Request::Blocks { from: head.next() }, ahead);
        }
        if !records.is_empty() {
            self.wants
                .want(now, Request::Roots { from: roots }, records);
        }
        moved
    }

    fn is_far(&self) -> bool {
        let others = self.peers.median_epoch().unwrap_or_default();
        others.get().saturating_sub(self.chain.epoch.get()) > self.limits.block_sync_epochs
    }

    /// An answer from a peer.
    pub(super) fn response(
        &mut self,
        now: Millis,
        from: PublicKey,
        response: Response,
        out: &mut Vec<Output>,
    ) {
        match response {
            Response::NotHeld(request) => self.wants.refused(now, &request, &from),
            Response::Batch(signed) => {
                let request = Request::Batch(signed.batch.digest());
                if self.wants.done(&request) {
                    self.take_batch(now, from, &signed, true, out);
                }
            }
            Response::Proposal(proposal) => self.proposal_arrived(now, from, *proposal, out),
            Response::Blocks(blocks) => {
                let first = blocks.blocks.first().map(|block| block.header.height);
                if first == Some(self.chain.head.next())
                    && self.wants.done(&Request::Blocks {
                        from: self.chain.head.next(),
                    })
                {
                    self.blocks_arrived(now, from, *blocks, out);
                }
            }
            Response::Roots(roots) => self.roots_arrived(now, from, roots.into_inner(), out),
            Response::Checkpoint(checkpoint) => {
                let Some(copying) = &mut self.copying else {
                    return;
                };
                let asked: Vec<Request> = copying.copy.requests();
                if !asked.iter().any(|request| self.wants.done(request)) {
                    return;
                }
                let step = copying.copy.checkpoint(&self.rules, *checkpoint);
                self.copy_step(now, from, step, out);
            }
            Response::Range {
                epoch,
                prefix,
                from: at,
                proof,
            } => {
                let Some(copying) = &mut self.copying else {
                    return;
                };
                if self.wants.done(&Request::Range {
                    epoch,
                    prefix,
                    from: at,
                }) {
                    let step = copying.copy.range(epoch, prefix, at, &proof);
                    self.copy_step(now, from, step, out);
                }
            }
        }
    }

    fn proposal_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        proposal: Proposal,
        out: &mut Vec<Output>,
    ) {
        let instance = proposal.block.header.instance;
        match instance.kind {
            ChainKind::Leaf => {
                let Some(member) = self.leaf.blocks.committee.index_of(&from) else {
                    return;
                };
                self.leaf_call(now, out, |core, host, effects| {
                    core.block_arrived(now, host, member, proposal, effects);
                });
            }
            ChainKind::Root => {
                let member = self
                    .root
                    .as_ref()
                    .and_then(|root| root.blocks.committee.index_of(&from));
                let Some(member) = member else { return };
                self.root_call(now, out, |core, host, effects| {
                    core.block_arrived(now, host, member, proposal, effects);
                });
            }
        }
    }

    fn roots_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        roots: Vec<CertifiedRoot>,
        out: &mut Vec<Output>,
    ) {
        if !self.wants.done(&Request::Roots {
            from: self.roots.next(),
        }) {
            return;
        }
        for root in roots {
            let epoch = root.record().map(|record| record.epoch);
            if epoch != Some(self.roots.next()) || self.roots.next() > self.chain.epoch {
                continue;
            }
            if !self.adopt_root(now, root, out) {
                self.distrusted.insert(from);
                return Self::misbehaved(
                    from,
                    Misbehaviour::Answer {
                        what: "root records",
                    },
                    out,
                );
            }
        }
    }

    /// Checks that blocks follow the head and are committed, and keeps them to be executed.
    fn blocks_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        answer: CertifiedBlocks,
        out: &mut Vec<Output>,
    ) {
        if self.verify_blocks(&answer).is_none() {
            self.distrusted.insert(from);
            return Self::misbehaved(from, Misbehaviour::Answer { what: "blocks" }, out);
        }
        for block in &answer.blocks {
            let Payload::Leaf(payload) = &block.payload else {
                continue;
            };
            for digest in &payload.batches {
                let here = self.pool.get(digest).is_some();
                let stored = if here {
                    None
                } else {
                    Some(persist::batch(&*self.store, digest))
                };
                let stored = stored.and_then(|result| self.note(result)).flatten();
                if !here && stored.is_none() {
                    self.wants.want(now, Request::Batch(*digest), [from]);
                }
            }
        }
        self.arrived = Some(answer);
        self.retry = true;
    }

    fn verify_blocks(&self, answer: &CertifiedBlocks) -> Option<()> {
        let (mut id, mut height): (_, Height) = (self.chain.head_id, self.chain.head);
        let headers = answer
            .blocks
            .iter()
            .map(|block| &block.header)
            .chain(&answer.tail);
        for header in headers {
            height = height.next();
            if header.parent != id
                || header.height != height
                || header.instance != self.leaf.blocks.instance
            {
                return None;
            }
            id = header.id();
        }
        let closes = |block: &Block| match &block.payload {
            Payload::Leaf(payload) => payload.claim.is_some(),
            Payload::Root(_) | Payload::Empty | Payload::Log(_) => false,
        };
        let consistent = answer
            .blocks
            .iter()
            .all(|block| block.header.payload == block.payload.hash());
        let tail_fits = answer.tail.is_empty() || answer.blocks.last().is_some_and(closes);
        let empty = Payload::Empty.hash();
        let tail_empty = answer.tail.iter().all(|header| header.payload == empty);
        if answer.proof.header.id() != id || !consistent || !tail_fits || !tail_empty {
            return None;
        }
        answer
            .proof
            .verify(&self.leaf.blocks.committee, &self.rules.hash)
            .ok()
    }

    /// Executes and commits blocks that arrived. Whether the head moved.
    fn apply_arrived(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        let Some(answer) = self.arrived.take() else {
            return false;
        };
        // Consensus may have gone on meanwhile.
        let head = self.chain.head;
        let follows = answer.blocks.iter().any(|block| {
            block.header.height == head.next() && block.header.parent == self.chain.head_id
        });
        if !follows || answer.proof.header.instance != self.leaf.blocks.instance {
            return false;
        }
        match self.apply_blocks(now, &answer, out) {
            Applied::All => {
                let proof = answer.proof;
                if proof.header.instance == self.leaf.blocks.instance {
                    self.leaf_call(now, out, |core, host, effects| {
                        // It was verified when it arrived.
                        let _held = core.synced(now, host, &proof, effects);
                    });
                }
                (self.work, self.retry) = (true, true);
            }
            Applied::Waits => self.arrived = Some(answer),
            Applied::Wrong => {}
        }
        self.chain.head > head
    }

    fn apply_blocks(
        &mut self,
        now: Millis,
        answer: &CertifiedBlocks,
        out: &mut Vec<Output>,
    ) -> Applied {
        // All are executed before the first is committed: consensus, which isn't told of the commits
        // before the end, may commit some of them itself while others wait.
        let news: Vec<&Block> = answer
            .blocks
            .iter()
            .filter(|block| block.header.height > self.chain.head)
            .collect();
        for block in &news {
            let id = block.header.id();
            if self.leaf.blocks.get(&id).is_some() {
                continue;
            }
            match self.leaf_host(|host| host.run(block, None)) {
                Ok(entry) => self.leaf.blocks.put(id, entry),
                Err(Fault::Missing) => return Applied::Waits,
                Err(Fault::Invalid(reason)) => {
                    let what = format!("a quorum committed block {id}, which is invalid here");
                    self.halt(format!("{what}: {reason}"), out);
                    return Applied::Wrong;
                }
            }
        }
        let last = news.len().saturating_sub(1);
        for (at, block) in news.iter().enumerate() {
            let tail = (at == last).then(|| Tail {
                headers: answer.tail.to_vec(),
                proof: answer.proof.clone(),
            });
            if !self.commit_block(now, block.header.id(), tail, out) {
                return Applied::Wrong;
            }
        }
        Applied::All
    }

    fn begin_copy(&mut self, now: Millis, out: &mut Vec<Output>) {
        match StateCopy::new(&self.rules) {
            Ok(copy) => {
                self.arrived = None;
                for request in copy.requests() {
                    self.wants.want(now, request, []);
                }
                self.copying = Some(Copying { copy, said: 0 });
            }
            Err(error) => self.halt(error.to_string(), out),
        }
    }

    /// Begins again with a newer record when nobody can have the copied state any more.
    fn watch_copy(&mut self, now: Millis) {
        let Some(copying) = &mut self.copying else {
            return;
        };
        let newest = self.peers.median_epoch().unwrap_or_default();
        let kept = u64::try_from(self.limits.versions_kept).unwrap_or(u64::MAX);
        if copying
            .copy
            .progress()
            .is_some_and(|(epoch, _, _)| newest.get() > epoch.get().saturating_add(kept))
        {
            copying.copy.restart();
            copying.said = 0;
        }
        let requests = copying.copy.requests();
        let wanted: BTreeSet<Request> = requests.iter().copied().collect();
        self.wants.retain(|request| match request {
            Request::Checkpoint { .. } | Request::Range { .. } => wanted.contains(request),
            Request::Batch(_) => true,
            Request::Proposal { .. } | Request::Blocks { .. } | Request::Roots { .. } => false,
        });
        let peers: Vec<PublicKey> = self.peers.connected().iter().copied().collect();
        for (at, request) in requests.into_iter().enumerate() {
            // Each piece begins with another peer.
            let first = peers.get(at % peers.len().max(1)).copied();
            self.wants.want(now, request, first);
        }
    }

    fn copy_step(
        &mut self,
        now: Millis,
        from: PublicKey,
        step: Result<CopyStep, CopyError>,
        out: &mut Vec<Output>,
    ) {
        match step {
            Ok(CopyStep::Ask(_)) => {
                if let Some(copying) = &mut self.copying
                    && let Some((epoch, entities, of)) = copying.copy.progress()
                    && (copying.said == 0 || entities >= copying.said.saturating_add(PROGRESS))
                {
                    copying.said = entities.max(1);
                    Self::event(
                        NodeEvent::CopyingState {
                            epoch,
                            entities,
                            of,
                        },
                        out,
                    );
                }
                self.watch_copy(now);
            }
            Ok(CopyStep::Finished) => {
                let Some(copying) = self.copying.take() else {
                    return;
                };
                match copying.copy.finish(&self.rules) {
                    Ok(copied) => self.install(now, copied, out),
                    Err(error) => {
                        self.halt(format!("the copied state cannot be used: {error}"), out)
                    }
                }
            }
            Err(CopyError::Unasked) => {}
            Err(_) => {
                Self::misbehaved(
                    from,
                    Misbehaviour::Answer {
                        what: "a copy of the state",
                    },
                    out,
                );
                self.watch_copy(now);
            }
        }
    }

    /// Goes on from a copied state.
    fn install(&mut self, now: Millis, copied: Copied, out: &mut Vec<Output>) {
        let Copied {
            closing,
            state,
            committee,
            roots,
            links,
            root_committees,
        } = copied;
        let epoch = closing.epoch;
        if epoch < self.chain.epoch {
            return;
        }
        let mut writes: Vec<Write> = vec![persist::put_committee(epoch.next(), &committee)];
        for root in links.into_iter().chain(roots.iter().cloned()) {
            if let Some(number) = root.record().map(|record| record.epoch) {
                writes.push(persist::put_root(number, &root));
            }
        }
        self.committees.put_leaf(epoch.next(), committee);
        for (period, committee) in root_committees {
            writes.push(persist::put_root_committee(period, &committee));
            self.committees.put_root(period, committee);
        }
        writes.extend(self.chain.replace(closing, state));
        writes.extend(self.closing_writes());
        self.roots.forget(Epoch::new(u64::MAX));
        for root in roots {
            self.roots.begin(root);
        }
        if let Some((period, committee)) = self.period_begun(epoch) {
            writes.push(persist::put_root_committee(period, &committee));
            self.committees.put_root(period, committee);
        }
        if self.write(writes) {
            out.push(Output::Sync);
            Self::event(NodeEvent::StateCopied { epoch }, out);
            self.hand_over(now, out);
        }
    }

    /// The root committee of the period that begins after `epoch`, when one does.
    fn period_begun(&self, epoch: Epoch) -> Option<(u64, frith_ledger::certificate::Committee)> {
        let parameters = self.rules.parameters();
        let ends = crate::membership::ends_period(parameters, epoch);
        let committee = ends
            .then(|| {
                self.roots
                    .next_committee(&self.rules, &self.committees, epoch)
            })
            .flatten()?;
        Some((period_of(parameters, epoch.next()), committee))
    }
}
