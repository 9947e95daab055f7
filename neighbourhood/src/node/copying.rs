//! Copying the state from others, and going on from it.

use super::api::{Misbehaviour, NodeEvent, Output};
use super::core::{Copying, Node};
use crate::membership::period_of;
use crate::persist;
use crate::sync::{Copied, CopyError, Pulls, StateCopy};
use crate::wire::{Checkpoint, Request};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::key::PublicKey;
use frith_ledger::store::{Table, Write};
use frith_ledger::tree::{RangeProof, Summary};
use frith_ledger::units::{Epoch, Millis};

/// Progress of a copy is said after so many entities.
const PROGRESS: u64 = 10_000;

impl Node {
    /// Begins to copy the state at a record that was verified and is far enough ahead.
    pub(super) fn begin_copy(&mut self, now: Millis, copy: StateCopy, out: &mut Vec<Output>) {
        (self.arrived, self.seeking) = (None, None);
        self.copying = Some(Copying {
            copy,
            pulls: Pulls::new(&self.limits),
            said: 0,
            renew: now,
        });
        self.go_on(now, out);
    }

    /// Whether others say that they are so far that they keep the copied state no more.
    fn is_outdated(&self) -> bool {
        let kept = u64::try_from(self.limits.versions_kept).unwrap_or(u64::MAX);
        let copied = self.copying.as_ref().and_then(|c| c.copy.progress());
        copied.is_some_and(|(epoch, _, _)| {
            self.claimed_epoch().get() > epoch.get().saturating_add(kept)
        })
    }

    /// Wants what the copy needs next, and a newer record when nobody can have the copied state any more.
    pub(super) fn watch_copy(&mut self, now: Millis) {
        let outdated = self.is_outdated();
        let Some(copying) = &mut self.copying else {
            return;
        };
        let newer = (outdated && now >= copying.renew).then(|| copying.copy.asks_checkpoint());
        let wanted = copying.copy.request();
        self.wants.retain(|request| match request {
            Request::Checkpoint { .. } | Request::Summaries { .. } => {
                [wanted, newer].contains(&Some(*request))
            }
            Request::Batch(_) => true,
            Request::Range { .. }
            | Request::Proposal { .. }
            | Request::Blocks { .. }
            | Request::Roots { .. } => false,
        });
        for request in [wanted, newer].into_iter().flatten() {
            let honest = self.peers.connected().iter();
            let honest = honest.filter(|peer| !copying.pulls.is_liar(peer)).copied();
            self.wants.want(now, request, honest);
        }
        if wanted.is_none() && copying.said == 0 {
            copying.pulls.want(copying.copy.pieces());
        }
    }

    /// Says how far the copy is, from time to time.
    fn tell_progress(&mut self, out: &mut Vec<Output>) {
        let Some(copying) = &mut self.copying else {
            return;
        };
        let Some((epoch, entities, of)) = copying.copy.progress() else {
            return;
        };
        if copying.said == 0 || entities >= copying.said.saturating_add(PROGRESS) {
            copying.said = entities.max(1);
            let progress = NodeEvent::CopyingState {
                epoch,
                entities,
                of,
            };
            Self::event(progress, out);
        }
    }

    pub(super) fn checkpoint_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        checkpoint: Checkpoint,
        out: &mut Vec<Output>,
    ) {
        let Some(copying) = &mut self.copying else {
            return self.found_record(now, from, checkpoint, out);
        };
        if !self.wants.done(&copying.copy.asks_checkpoint()) {
            return;
        }
        let copied = copying.copy.progress();
        let newer = copied.map_or(Epoch::ZERO, |(epoch, _, _)| epoch.next());
        match copying.copy.checkpoint(&self.rules, checkpoint, newer) {
            Ok(checked) => {
                if checked.aimed {
                    copying.pulls.want(Vec::new());
                    copying.said = 0;
                } else if checked.record.is_some() {
                    copying.renew = now.plus(self.limits.retry_max.get());
                }
                self.write(checked.writes);
                self.go_on(now, out);
            }
            Err(error) => self.copy_failed(now, from, &error, out),
        }
    }

    pub(super) fn summaries_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        asked: (Epoch, u8),
        summaries: &[Summary],
        out: &mut Vec<Output>,
    ) {
        let (epoch, bits) = asked;
        let Some(copying) = &mut self.copying else {
            return;
        };
        if !self.wants.done(&Request::Summaries { epoch, bits }) {
            return;
        }
        match copying.copy.summaries(asked, summaries) {
            Ok(()) => self.go_on(now, out),
            Err(error) => self.copy_failed(now, from, &error, out),
        }
    }

    /// The copy knows what to copy: wants all of it.
    fn go_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.watch_copy(now);
        if let Some(copying) = &self.copying
            && copying.copy.request().is_none()
        {
            self.tell_progress(out);
            self.save_copied(out);
            self.finish_copy(now, out);
        }
    }

    pub(super) fn range_arrived(
        &mut self,
        now: Millis,
        from: PublicKey,
        asked: (Epoch, Prefix, Address),
        proof: &RangeProof,
        out: &mut Vec<Output>,
    ) {
        let Some(copying) = &mut self.copying else {
            return;
        };
        let (epoch, prefix, at) = asked;
        let request = Request::Range {
            epoch,
            prefix,
            from: at,
        };
        match copying.copy.range(asked, proof) {
            Ok(next) => {
                copying.pulls.came(&request, &from, next);
                self.tell_progress(out);
                self.save_copied(out);
                self.finish_copy(now, out);
            }
            Err(error) => self.copy_failed(now, from, &error, out),
        }
    }

    /// A peer's answer doesn't hold: it isn't asked again in this copy.
    fn copy_failed(
        &mut self,
        now: Millis,
        from: PublicKey,
        error: &CopyError,
        out: &mut Vec<Output>,
    ) {
        if *error == CopyError::Unasked {
            return;
        }
        if let Some(copying) = &mut self.copying {
            copying.pulls.lied(&from);
        }
        let what = "a copy of the state";
        Self::misbehaved(from, Misbehaviour::Answer { what }, out);
        self.watch_copy(now);
    }

    /// Saves the groups that are whole: the nodes first, which are durable then, and after them their marks.
    fn save_copied(&mut self, out: &mut Vec<Output>) {
        let Some(copying) = &mut self.copying else {
            return;
        };
        for save in copying.copy.saves() {
            let mut nodes = save.nodes.into_iter().flatten();
            let loaded = self.store.load(Table::Nodes, &mut nodes);
            if self.note(loaded).is_none() || !self.write(save.writes) {
                return;
            }
            out.push(Output::Sync);
        }
    }

    fn finish_copy(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.failed.is_some() {
            return;
        }
        let whole = self.copying.take_if(|copying| copying.copy.is_whole());
        let Some(copying) = whole else { return };
        match copying.copy.finish(&self.rules) {
            Ok(copied) => self.install(now, copied, out),
            Err(error) => self.halt(format!("the copied state cannot be used: {error}"), out),
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
            saved_bits,
        } = copied;
        let epoch = closing.epoch;
        if epoch < self.chain.epoch {
            return;
        }
        self.arrived = None;
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
        writes.extend(self.chain.replace(closing, state, saved_bits));
        let forgotten = crate::sync::forget(&*self.store);
        writes.extend(self.note(forgotten).unwrap_or_default());
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
