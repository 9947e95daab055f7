//! Whether the others are so far ahead that the state has to be copied.
//!
//! What peers say of their epochs is a reason to *ask*, never to believe. Members of the newest committee that this node
//! knows are heard, each by its weight; peers without a seat have no word, however many they are. Only when so few members
//! are connected that all of them may be faulty (this node is new, or was away for long, and others have their seats) every
//! peer is heard. While a record is sought everything else goes on, blocks above all. A copy begins when a record came that
//! is verified from the genesis and far enough ahead; any other answer is a reason to ask again later, of others first.

use super::api::{Misbehaviour, Output, earlier};
use super::core::Node;
use crate::sync::{BeginError, StateCopy};
use crate::wire::{Checkpoint, Request};
use frith_ledger::certificate::Weight;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Millis};
use std::collections::{BTreeMap, BTreeSet};

/// A record that is a reason to copy is sought.
pub(super) struct Seeking {
    copy: StateCopy,
    /// The least epoch that is one.
    least: Epoch,
    /// When to ask again.
    next: Millis,
    /// Peers whose newest record was none, or didn't hold: asked after the others.
    near: BTreeSet<PublicKey>,
}

impl Node {
    /// Whose word counts on how far the others are, and how much: among connected peers.
    pub(super) fn voices(&self) -> BTreeMap<PublicKey, Weight> {
        let connected = self.peers.connected();
        let next = self.committees.leaf(self.chain.epoch.next());
        let committee = next.unwrap_or(&self.leaf.blocks.committee);
        let members = committee.members().iter();
        let members = members.filter(|member| connected.contains(&member.key));
        let members: BTreeMap<_, _> = members.map(|m| (m.key, m.weight)).collect();
        let weight = members
            .values()
            .fold(0, |sum: Weight, weight| sum.saturating_add(*weight));
        if committee.is_third(weight) {
            return members;
        }
        connected.iter().map(|peer| (*peer, 1)).collect()
    }

    /// The epoch that at least half of those who count, and said anything, say they have reached.
    pub(super) fn claimed_epoch(&self) -> Epoch {
        let voices = self.voices();
        let statuses = self.peers.statuses();
        let said = statuses.filter_map(|(peer, s, _)| Some((s.epoch, *voices.get(peer)?)));
        median(said.collect())
    }

    /// Seeks a record that is far enough ahead, while the others seem to be or serve no blocks that this node could go
    /// on with. Whether a copy began, or the node stopped.
    pub(super) fn seek(&mut self, now: Millis, nobody_serves: bool, out: &mut Vec<Output>) -> bool {
        let ahead = self.claimed_epoch().minus(self.chain.epoch.get()).get();
        let sync = self.limits.block_sync_epochs;
        let least = if ahead > sync {
            // Records come an epoch or two after the blocks, and some blocks arrive meanwhile.
            self.chain.epoch.plus((sync / 2).max(1))
        } else if nobody_serves {
            self.chain.epoch
        } else {
            if self.seeking.take().is_some() {
                self.wants
                    .retain(|request| !matches!(request, Request::Checkpoint { .. }));
            }
            return false;
        };
        if self.seeking.is_none() && self.begin_search(now, least, out) {
            return true;
        }
        self.ask_record(now, least);
        false
    }

    /// Begins to seek. Whether that isn't needed: a copy goes on that an earlier run began, or the node stopped.
    fn begin_search(&mut self, now: Millis, least: Epoch, out: &mut Vec<Output>) -> bool {
        let base = self.chain.saved().cloned();
        match StateCopy::begin(&self.rules, &*self.store, base, &self.limits) {
            Ok(mut copy) => {
                if copy.progress().is_some_and(|(epoch, _, _)| epoch >= least) {
                    self.begin_copy(now, copy, out);
                    return true;
                }
                copy.restart();
                self.seeking = Some(Seeking {
                    copy,
                    least,
                    next: now,
                    near: BTreeSet::new(),
                });
                return false;
            }
            Err(BeginError::Store(error)) => {
                self.failed.get_or_insert(error);
            }
            Err(BeginError::Genesis(error)) => self.halt(error.to_string(), out),
        }
        true
    }

    fn ask_record(&mut self, now: Millis, least: Epoch) {
        let Some(seeking) = &mut self.seeking else {
            return;
        };
        seeking.least = least;
        let request = seeking.copy.asks_checkpoint();
        self.wants
            .retain(|other| !matches!(other, Request::Checkpoint { .. }) || *other == request);
        if now < seeking.next || self.wants.has(&request) {
            return;
        }
        let connected = self.peers.connected();
        if connected.is_subset(&seeking.near) {
            // Nobody has one: whoever says to be far ahead can't show it.
            seeking.near.clear();
            seeking.next = now.plus(self.limits.retry_max.get());
            return;
        }
        let seated = |peer: &&PublicKey| self.members.contains(*peer);
        let rest = connected.iter().filter(|peer| !seated(peer));
        let first = connected.iter().filter(seated).chain(rest);
        let first = first.filter(|peer| !seeking.near.contains(peer)).copied();
        self.wants.want(now, request, first);
    }

    /// When to ask for a newer record again.
    pub(super) fn next_search(&self) -> Option<Millis> {
        let sought = self.seeking.as_ref().map(|seeking| seeking.next);
        let renewed = self.copying.as_ref().map(|copying| copying.renew);
        earlier(sought, renewed).filter(|at| *at > self.clock)
    }

    /// A peer's newest record came while one was sought.
    pub(super) fn found_record(
        &mut self,
        now: Millis,
        from: PublicKey,
        checkpoint: Checkpoint,
        out: &mut Vec<Output>,
    ) {
        let Some(mut seeking) = self.seeking.take() else {
            return;
        };
        if !self.wants.done(&seeking.copy.asks_checkpoint()) {
            self.seeking = Some(seeking);
            return;
        }
        seeking.copy.rebase(self.chain.saved().cloned());
        match seeking
            .copy
            .checkpoint(&self.rules, checkpoint, seeking.least)
        {
            Ok(checked) => {
                self.write(checked.writes);
                if checked.aimed {
                    return self.begin_copy(now, seeking.copy, out);
                }
                if checked.record.is_some() {
                    seeking.near.insert(from);
                    seeking.next = now.plus(self.limits.retry_min.get());
                }
            }
            Err(_) => {
                seeking.near.insert(from);
                let what = "a copy of the state";
                Self::misbehaved(from, Misbehaviour::Answer { what }, out);
            }
        }
        self.seeking = Some(seeking);
    }
}

/// The epoch that at least half of the weight has reached; zero when nobody said any.
fn median(mut said: Vec<(Epoch, Weight)>) -> Epoch {
    let all = said
        .iter()
        .fold(0, |sum: Weight, (_, weight)| sum.saturating_add(*weight));
    said.sort_unstable_by(|a, b| b.cmp(a));
    let mut sum: Weight = 0;
    for (epoch, weight) in said {
        sum = sum.saturating_add(weight);
        if sum.saturating_mul(2) > all {
            return epoch;
        }
    }
    Epoch::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_weight_decides_how_far_the_others_are() {
        let check = |said: &[(u64, Weight)], expected: u64| {
            let said = said
                .iter()
                .map(|(epoch, weight)| (Epoch::new(*epoch), *weight));
            assert_eq!(median(said.collect()), Epoch::new(expected));
        };
        check(&[], 0);
        check(&[(7, 1)], 7);
        check(&[(70, 1), (7, 1), (7, 1)], 7);
        check(&[(70, 3), (7, 1), (7, 1)], 70);
        check(&[(70, 2), (7, 1), (7, 1)], 7);
    }
}
