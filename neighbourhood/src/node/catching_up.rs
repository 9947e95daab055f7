//! Catching up with others: wants, blocks, records.

use super::api::{Misbehaviour, Output};
use super::core::Node;
use crate::leaf::Fault;
use crate::persist::{self, Tail};
use crate::wire::{CertifiedBlocks, PeerMessage, Request, Response};
use frith_ledger::block::{BatchDigest, Block, ChainKind, Payload, Proposal};
use frith_ledger::certificate::Weight;
use frith_ledger::key::PublicKey;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::units::{Height, Millis};

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
        let mut due = self.wants.due(now, &connected);
        if let Some(copying) = &mut self.copying {
            due.extend(copying.pulls.due(now, &connected));
        }
        for (peer, request) in due {
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
            Request::Range { .. } | Request::Summaries { .. } => false,
            Request::Checkpoint { .. } | Request::Batch(_) => true,
        });
        let voices = self.voices();
        let (mut unserved, mut ahead, mut records): (Weight, _, _) = (0, Vec::new(), Vec::new());
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
            if past && status.first > head.next() {
                let weight = voices.get(peer).copied().unwrap_or(0);
                unserved = unserved.saturating_add(weight);
            }
            if status.roots > roots && roots <= epoch && (waited || status.epoch > epoch) {
                records.push(*peer);
            }
        }
        let total = voices
            .values()
            .fold(0, |sum: Weight, w| sum.saturating_add(*w));
        let served = ahead.iter().any(|peer| voices.contains_key(peer));
        let nobody_serves = !served && unserved.saturating_mul(2) > total;
        if self.seek(now, nobody_serves, out) {
            return true;
        }
        // Peers without a seat are asked when nobody else has it: there may be many, and none has to answer.
        let seated = &self.members;
        let heard = |peers: Vec<PublicKey>| {
            let heard = peers.into_iter();
            heard.filter(|peer| seated.contains(peer))
        };
        if !ahead.is_empty() && self.arrived.is_none() {
            let request = Request::Blocks { from: head.next() };
            self.wants.want(now, request, heard(ahead));
        }
        if !records.is_empty() {
            let request = Request::Roots { from: roots };
            self.wants.want(now, request, heard(records));
        }
        moved
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
            Response::NotHeld(request) | Response::Busy(request) => {
                self.wants.refused(now, &request, &from);
                if let Some(copying) = &mut self.copying {
                    copying.pulls.refused(now, &request, &from);
                }
            }
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
                self.checkpoint_arrived(now, from, *checkpoint, out);
            }
            Response::Summaries {
                epoch,
                bits,
                summaries,
            } => self.summaries_arrived(now, from, (epoch, bits), &summaries, out),
            Response::Range {
                epoch,
                prefix,
                from: at,
                proof,
            } => self.range_arrived(now, from, (epoch, prefix, at), &proof, out),
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
}
