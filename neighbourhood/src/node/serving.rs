//! Answers to what peers ask for.

use super::api::Output;
use super::core::Node;
use super::facts::ANSWER_BYTES;
use crate::membership::period_of;
use crate::persist;
use crate::sync::slot_summaries;
use crate::wire::{
    BLOCKS_MAX, CertifiedBlocks, Checkpoint, CheckpointTip, LINKS_MAX, PeerMessage, ROOTS_MAX,
    Request, Response, SLOT_BITS_MAX,
};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{Block, BlockId, ChainKind, Proposal};
use frith_ledger::key::PublicKey;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::tree::RangeProof;
use frith_ledger::units::{Epoch, Height, Millis, View};
use parity_scale_codec::Encode as _;

/// Proposals for an epoch's record that are looked through.
const ROOT_PROPOSALS_MAX: usize = 16;

impl Node {
    /// Answers a request, within what the peer may be served.
    pub(super) fn serve(
        &mut self,
        now: Millis,
        from: PublicKey,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        let member = self.members.contains(&from);
        let room = self.peers.may_serve(now, &from, member);
        let response = if room {
            self.answer_to(&request)
                .unwrap_or(Response::NotHeld(request))
        } else {
            Response::Busy(request)
        };
        let message = PeerMessage::Response(Box::new(response));
        if room {
            // What an answer costs beside its bytes.
            const ANSWER_COST: usize = 1024;
            let bytes = message.encoded_size().saturating_add(ANSWER_COST);
            self.peers.served(&from, member, bytes);
        }
        self.send(from, &message, out);
    }

    fn answer_to(&mut self, request: &Request) -> Option<Response> {
        match *request {
            Request::Batch(digest) => {
                let stored = persist::batch(&*self.store, &digest);
                self.note(stored).flatten().map(Response::Batch)
            }
            Request::Proposal { kind, epoch, id } => self
                .proposal(kind, epoch, &id)
                .map(|proposal| Response::Proposal(Box::new(proposal))),
            Request::Blocks { from } => self
                .certified_blocks(from)
                .map(|blocks| Response::Blocks(Box::new(blocks))),
            Request::Roots { from } => self.certified_roots(from),
            Request::Checkpoint { period } => self
                .checkpoint(period)
                .map(|c| Response::Checkpoint(Box::new(c))),
            Request::Range {
                epoch,
                prefix,
                from,
            } => {
                let proof = self.range(epoch, prefix, from)?;
                Some(Response::Range {
                    epoch,
                    prefix,
                    from,
                    proof,
                })
            }
            Request::Summaries { epoch, bits } => {
                let version = self.chain.version(epoch)?;
                if bits > SLOT_BITS_MAX {
                    return None;
                }
                let summaries = slot_summaries(version, bits).try_into().ok()?;
                Some(Response::Summaries {
                    epoch,
                    bits,
                    summaries,
                })
            }
        }
    }

    fn proposal(&mut self, kind: ChainKind, epoch: Epoch, id: &BlockId) -> Option<Proposal> {
        let core = match kind {
            ChainKind::Leaf => Some(&self.leaf.core),
            ChainKind::Root => self.root.as_ref().map(|root| &root.core),
        };
        let running = core.filter(|core| core.instance().epoch == epoch)?;
        if let Some(proposal) = running.proposal(id) {
            return Some(proposal.clone());
        }
        // Committed meanwhile, but voted for here. Whoever asks for what was never there costs one read.
        let stored = match kind {
            ChainKind::Leaf => {
                let block = persist::block(&*self.store, id);
                let view = self.note(block).flatten()?.header.view;
                persist::proposals(&*self.store, kind, epoch, view, 1)
            }
            // An epoch's record takes a few views.
            ChainKind::Root => {
                persist::proposals(&*self.store, kind, epoch, View::ZERO, ROOT_PROPOSALS_MAX)
            }
        };
        self.note(stored)?
            .into_iter()
            .find(|proposal| proposal.block.header.id() == *id)
    }

    fn certified_blocks(&mut self, from: Height) -> Option<CertifiedBlocks> {
        let stored = persist::entries(&*self.store, from, BLOCKS_MAX);
        let entries = self.note(stored)?;
        let epoch = entries.first()?.1.epoch;
        let mut blocks: Vec<Block> = Vec::new();
        let mut best = None;
        let (mut bytes, mut expected) = (0_usize, from);
        for (height, entry) in entries {
            if height != expected
                || entry.epoch != epoch
                || (bytes > ANSWER_BYTES && best.is_some())
            {
                break;
            }
            expected = height.next();
            let stored = persist::block(&*self.store, &entry.id);
            let block = self.note(stored).flatten()?;
            bytes = bytes.saturating_add(block.encoded_size());
            blocks.push(block);
            if let Some(tail) = entry.proof {
                best = Some((blocks.len(), tail));
            }
        }
        let (count, tail) = best?;
        blocks.truncate(count);
        let tail_headers = tail.headers.try_into().ok()?;
        Some(CertifiedBlocks {
            blocks: blocks.try_into().ok()?,
            tail: tail_headers,
            proof: tail.proof,
        })
    }

    pub(super) fn stored_root(&mut self, epoch: Epoch) -> Option<CertifiedRoot> {
        let stored = self.facts().root(epoch);
        self.note(stored).flatten()
    }

    fn certified_roots(&mut self, from: Epoch) -> Option<Response> {
        let (mut roots, mut bytes) = (Vec::new(), 0_usize);
        for number in from.get()..self.roots.next().get() {
            if roots.len() >= ROOTS_MAX || bytes > ANSWER_BYTES {
                break;
            }
            let Some(root) = self.stored_root(Epoch::new(number)) else {
                break;
            };
            bytes = bytes.saturating_add(root.encoded_size());
            roots.push(root);
        }
        if roots.is_empty() {
            None
        } else {
            roots.try_into().ok().map(Response::Roots)
        }
    }

    fn checkpoint(&mut self, period: u64) -> Option<Checkpoint> {
        let epoch = self.facts().newest_proven()?;
        let last = period_of(self.rules.parameters(), epoch);
        let links = self.facts().links(period, last, LINKS_MAX);
        let (links, reached) = self.note(links).flatten()?;
        let links = links.try_into().ok()?;
        if reached < last {
            return Some(Checkpoint { links, tip: None });
        }
        let stored = persist::closing(&*self.store, epoch);
        let closing = self.note(stored).flatten()?;
        let stored = persist::block(&*self.store, &closing.id);
        let closing = self.note(stored).flatten()?;
        let previous = match epoch.get().checked_sub(1) {
            Some(before) => Some(self.stored_root(Epoch::new(before))?),
            None => None,
        };
        let committee = (**self.committees.leaf(epoch.next())?).clone();
        let root = self.stored_root(epoch)?;
        Some(Checkpoint {
            links,
            tip: Some(CheckpointTip {
                root,
                previous,
                closing,
                committee,
            }),
        })
    }

    fn range(&self, epoch: Epoch, prefix: Prefix, from: Address) -> Option<RangeProof> {
        let version = self.chain.version(epoch)?;
        Some(version.range(
            prefix,
            from,
            RangeProof::ENTRIES_MAX,
            self.limits.range_bytes,
        ))
    }

    /// The view of the leaf's instance, for the status.
    pub(super) fn leaf_view(&self) -> View {
        self.leaf.core.view()
    }
}
