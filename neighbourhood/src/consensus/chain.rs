//! Commits, and the blocks that are missing for them.

use super::core::{Consensus, Cx, Fetch};
use super::messages::Effect;
use super::rules;
use super::setup::{Head, Host};
use frith_ledger::block::BlockId;
use frith_ledger::certificate::{CertificateError, CommitProof, QuorumCertificate};
use frith_ledger::units::{Millis, View};
use std::collections::BTreeSet;

/// Blocks that wait for their ancestors; a longer gap is for block sync.
pub const FETCH_DEPTH: usize = 64;
/// Blocks asked for at once.
const FETCHES_MAX: usize = 8;
/// Doublings of the pause between two requests for a block.
const DOUBLINGS_MAX: u32 = 6;

impl Consensus {
    /// Remembers what `certificate` commits: the parent of its block, when that was proposed in the
    /// view before.
    pub(super) fn note_commit(&mut self, certificate: &QuorumCertificate) {
        let Some(child) = self.tree.get(&certificate.block) else {
            return;
        };
        let Some(parent) = self.tree.get(&child.parent()) else {
            return;
        };
        let direct = rules::commits(parent.view(), child.view(), certificate.view);
        let newer = |pending: &(BlockId, QuorumCertificate)| pending.1.view < certificate.view;
        if direct && self.pending.as_ref().is_none_or(newer) {
            self.pending = Some((child.parent(), certificate.clone()));
        }
    }

    /// Commits what was noted, once every block up to it is executed.
    pub(super) fn commit(&mut self, cx: &mut Cx<'_>) {
        let Some((id, certificate)) = &self.pending else {
            return;
        };
        let Some(blocks) = self.tree.path(id).filter(|path| !path.is_empty()) else {
            return;
        };
        let (Some(block), Some(child)) = (self.tree.get(id), self.tree.get(&certificate.block))
        else {
            return;
        };
        let header = block.proposal.block.header.clone();
        let head = Head {
            id: *id,
            height: header.height,
            view: header.view,
        };
        let child = child.proposal.block.header.clone();
        let proof = Box::new(CommitProof {
            header,
            child,
            certificate: certificate.clone(),
        });
        cx.out.push(Effect::Committed { blocks, proof });
        self.move_head(cx, head);
        self.pacemaker.committed();
    }

    fn move_head(&mut self, cx: &mut Cx<'_>, head: Head) {
        self.pending = None;
        cx.out
            .extend(self.tree.commit(head).into_iter().map(Effect::Dropped));
        self.proposed.retain(|view, _| *view > head.view);
        let above: Vec<QuorumCertificate> = self
            .tree
            .nodes()
            .filter_map(|(_, node)| node.proposal.justify.clone())
            .collect();
        for certificate in above.iter().chain(self.high.clone().iter()) {
            self.note_commit(certificate);
        }
    }

    /// The host has executed and committed up to `proof.header` by itself: continue above it. Nothing
    /// happens when that is not news.
    ///
    /// # Errors
    /// [`CertificateError`] when the proof doesn't hold.
    pub fn synced(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        proof: &CommitProof,
        out: &mut Vec<Effect>,
    ) -> Result<(), CertificateError> {
        if proof.header.instance != self.instance {
            return Err(CertificateError::Instance);
        }
        proof.verify(&self.committee, &self.genesis)?;
        self.verified.trust(&proof.certificate);
        let mut cx = Cx { now, host, out };
        if proof.header.view > self.tree.head().view {
            let header = &proof.header;
            self.move_head(
                &mut cx,
                Head {
                    id: header.id(),
                    height: header.height,
                    view: header.view,
                },
            );
            self.pacemaker.committed();
        }
        let source = self.source;
        self.adopt(&mut cx, Some(proof.certificate.clone()), None, source);
        self.settle(&mut cx);
        Ok(())
    }

    /// Asks for blocks that are known only by their certificates, and asks again when they don't come.
    pub(super) fn fetch_missing(&mut self, cx: &mut Cx<'_>) {
        let wanted = self.missing();
        self.fetches.retain(|id, _| wanted.contains(id));
        for id in wanted {
            if self.fetches.len() < FETCHES_MAX {
                let first = Fetch {
                    next: self.source,
                    due: cx.now,
                    tries: 0,
                };
                self.fetches.entry(id).or_insert(first);
            }
        }
        let members = u16::try_from(self.committee.members().len()).unwrap_or(u16::MAX);
        let pause = self.pacemaker.pause();
        for (id, fetch) in &mut self.fetches {
            if fetch.due > cx.now {
                continue;
            }
            if Some(fetch.next) == self.me {
                fetch.next = following(fetch.next, members);
            }
            if Some(fetch.next) != self.me {
                cx.out.push(Effect::FetchBlock {
                    id: *id,
                    from: fetch.next,
                });
            }
            fetch.next = following(fetch.next, members);
            fetch.due = Millis::new(cx.now.get().saturating_add(pause << fetch.tries));
            fetch.tries = (fetch.tries + 1).min(DOUBLINGS_MAX);
        }
    }

    fn missing(&self) -> BTreeSet<BlockId> {
        let mut missing = if self.tree.waiting() < FETCH_DEPTH {
            self.tree.unknown_parents()
        } else {
            BTreeSet::new()
        };
        let top = self.top();
        if self.high_view() > View::ZERO
            && top != self.tree.head().id
            && self.tree.get(&top).is_none()
        {
            missing.insert(top);
        }
        missing
    }
}

fn following(member: u16, members: u16) -> u16 {
    let next = member.saturating_add(1);
    if next >= members { 0 } else { next }
}
