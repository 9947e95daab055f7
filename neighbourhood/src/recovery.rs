//! When a node may vote at once, and how it asks others when it may not.
//!
//! - A store that has ever been allowed to vote says so. Its safety records are whole, since each was
//!   synced before what it allows left the node; so it votes at once, also in instances that begin later,
//!   for which it has a fresh record. If a member shows a later signature of its own (the store was an older
//!   copy), it abstains in that instance until it has recovered.
//! - A *founder*, a member of the genesis whose host says that it starts for the first time, asks before it votes, and
//!   votes from view 1 on when members that are a quorum together with it know of nothing
//!   ([`crate::consensus::Consensus::may_found`]). If the network has begun, it asks like any other empty store, and
//!   where an instance stands for long, joins with a quorum that it is part of
//!   ([`crate::consensus::Consensus::join`]).
//! - Any other empty store has lost its record, or never had one: it can't tell. In every leaf instance, as a
//!   member or not, it asks the members ([`crate::consensus::ReportRequest`]), and abstains where it is one,
//!   until a quorum has reported. Let s be the first leaf epoch in which one did.
//! - From the end of epoch s + 1 on it may vote in what begins. In an earlier process this key had not come
//!   further than leaf epoch s + 1 and root epoch s: to enter s + 2 takes a block of s + 1 that a quorum
//!   certified, and in a quorum that was still in s there is too much weight that hadn't. (This holds while
//!   less than a third of the weight changes hands from one epoch to the next.)
//!
//! So a newcomer that follows the chain for two epochs before its seat is drawn takes part from its first
//! view on. If newcomers had to recover as members, a third of the weight registered at once would stop the
//! neighbourhood: the others would be no quorum that could report.

use crate::consensus::Report;
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Millis};
use std::collections::BTreeMap;

/// Reports kept for one instance.
const REPORTS_MAX: usize = frith_ledger::parameters::MEMBERS_MAX;

/// Reports for one instance.
#[derive(Debug)]
pub struct Collection {
    /// Which instance.
    pub instance: Instance,
    /// What makes the reports fresh.
    pub nonce: [u8; 32],
    /// The newest of each member.
    pub reports: BTreeMap<PublicKey, Report>,
    /// Whether it asks for the second time, since a founder has waited for too long.
    pub insists: bool,
    /// When a founder asks for the second time.
    patient_until: Option<Millis>,
    next: Millis,
    pause: u64,
}

/// Which instances this node may vote in.
#[derive(Debug)]
pub struct Recovery {
    /// Whether it may vote in instances that begin now.
    pub clean: bool,
    /// Whether this is said to be a founder's first start, and it hasn't voted yet.
    pub founding: bool,
    /// The first leaf epoch in which a quorum reported to this process.
    witnessed: Option<Epoch>,
    entropy: [u8; 32],
    drawn: u64,
    collections: BTreeMap<(ChainKind, Epoch), Collection>,
    retry: (u64, u64),
    /// How long a founder waits for a quorum without itself, in ms.
    patience: u64,
}

impl Recovery {
    /// A node that may vote, or not.
    #[must_use]
    pub const fn new(clean: bool, entropy: [u8; 32], retry: (u64, u64)) -> Self {
        Self {
            clean,
            founding: false,
            witnessed: None,
            entropy,
            drawn: 0,
            collections: BTreeMap::new(),
            retry,
            patience: 0,
        }
    }

    /// The same for a node whose host says that it starts as a founder for the first time, and how long it then waits
    /// for a quorum without itself, in ms.
    #[must_use]
    pub const fn founding(mut self, founding: bool, patience: u64) -> Self {
        self.founding = founding && !self.clean;
        self.patience = patience;
        self
    }

    /// A founder may vote.
    pub const fn found(&mut self) {
        (self.clean, self.founding) = (true, false);
    }

    /// It is no founder's first start. Whether it was taken for one.
    pub fn unfound(&mut self) -> bool {
        for collection in self.collections.values_mut() {
            (collection.insists, collection.patient_until) = (false, None);
        }
        std::mem::take(&mut self.founding)
    }

    /// A quorum of the members of this leaf epoch reported.
    pub fn witness(&mut self, epoch: Epoch) {
        self.witnessed.get_or_insert(epoch);
    }

    /// Whether it should ask about a leaf instance in which it has no vote.
    #[must_use]
    pub const fn is_unsure(&self) -> bool {
        !self.clean && self.witnessed.is_none()
    }

    /// A leaf epoch ended here. Whether from now on this node may vote in what begins.
    pub fn ended(&mut self, epoch: Epoch) -> bool {
        let newly = !self.clean && self.witnessed.is_some_and(|witnessed| witnessed < epoch);
        self.clean |= newly;
        newly
    }

    /// Begins to ask about an instance.
    pub fn begin(&mut self, now: Millis, instance: Instance) {
        let collection = Collection {
            instance,
            nonce: self.draw(),
            reports: BTreeMap::new(),
            insists: false,
            patient_until: self.founding.then(|| now.plus(self.patience)),
            next: now,
            pause: self.retry.0,
        };
        self.collections
            .insert((instance.kind, instance.epoch), collection);
    }

    /// A nonce that nobody has seen.
    fn draw(&mut self) -> [u8; 32] {
        self.drawn = self.drawn.wrapping_add(1);
        let nonce: Hash = Domain::Draw
            .hasher()
            .update(b"report")
            .update(&self.entropy)
            .update(&self.drawn.to_le_bytes())
            .finish();
        nonce.0
    }

    /// Lets founders whose patience is over ask once more, for answers that are fresh.
    fn insist(&mut self, now: Millis) {
        let over = |collection: &Collection| collection.patient_until.is_some_and(|at| at <= now);
        let impatient: Vec<_> = self
            .collections
            .iter()
            .filter(|(_, collection)| over(collection))
            .map(|(key, _)| *key)
            .collect();
        for key in impatient {
            let nonce = self.draw();
            if let Some(collection) = self.collections.get_mut(&key) {
                collection.nonce = nonce;
                collection.reports.clear();
                (collection.insists, collection.patient_until) = (true, None);
                (collection.next, collection.pause) = (now, self.retry.0);
            }
        }
    }

    /// What is asked now, again: of a peer that has just come.
    pub fn asked(&self) -> impl Iterator<Item = (Instance, [u8; 32])> {
        self.collections
            .values()
            .map(|collection| (collection.instance, collection.nonce))
    }

    /// The instance is over, or recovered, and those before it are over.
    pub fn end(&mut self, kind: ChainKind, epoch: Epoch) {
        self.collections
            .retain(|(other, at), _| *other != kind || *at > epoch);
    }

    /// The reports about an instance.
    #[must_use]
    pub fn get(&self, kind: ChainKind, epoch: Epoch) -> Option<&Collection> {
        self.collections.get(&(kind, epoch))
    }

    /// Takes in a report. Whether it was asked for.
    pub fn report(&mut self, from: PublicKey, report: Report) -> bool {
        let key = (report.instance.kind, report.instance.epoch);
        let Some(collection) = self.collections.get_mut(&key) else {
            return false;
        };
        let asked = collection.instance == report.instance && collection.nonce == report.nonce;
        if asked && collection.reports.len() < REPORTS_MAX {
            collection.reports.insert(from, report);
        }
        asked
    }

    /// Instances to ask about now; each is asked about again after a pause that doubles.
    pub fn due(&mut self, now: Millis) -> Vec<(Instance, [u8; 32])> {
        self.insist(now);
        let longest = self.retry.1;
        let due = self
            .collections
            .values_mut()
            .filter(|collection| collection.next <= now);
        due.map(|collection| {
            collection.next = now.plus(collection.pause);
            collection.pause = collection.pause.saturating_mul(2).min(longest);
            (collection.instance, collection.nonce)
        })
        .collect()
    }

    /// When to ask again.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.collections
            .values()
            .map(|collection| {
                let patient_until = collection.patient_until.unwrap_or(collection.next);
                collection.next.min(patient_until)
            })
            .min()
    }

    /// Whether it asks about anything.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        !self.collections.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Prefix;
    use frith_ledger::units::Generation;

    #[test]
    fn an_earlier_process_may_have_entered_the_epoch_after_the_reports() {
        let mut recovery = Recovery::new(false, [0; 32], (1, 1));
        assert!(recovery.is_unsure() && !recovery.ended(Epoch::new(3)));
        recovery.witness(Epoch::new(4));
        recovery.witness(Epoch::new(5));
        assert!(!recovery.is_unsure());
        assert!(
            !recovery.ended(Epoch::new(4)) && !recovery.clean,
            "the wiped process may have been the first to enter epoch 5"
        );
        assert!(recovery.ended(Epoch::new(5)) && recovery.clean);
        assert!(!recovery.ended(Epoch::new(6)), "it is said once");
    }

    #[test]
    fn a_founder_asks_a_second_time_with_a_fresh_nonce_and_nobody_else_does() {
        for founding in [false, true] {
            let mut recovery = Recovery::new(false, [0; 32], (300, 300)).founding(founding, 1_000);
            let instance = Instance {
                kind: ChainKind::Leaf,
                prefix: Prefix::ROOT,
                generation: Generation::ZERO,
                epoch: Epoch::ZERO,
                committee: Hash::ZERO,
            };
            recovery.begin(Millis::ZERO, instance);
            let [(_, first)] = recovery.due(Millis::ZERO)[..] else {
                panic!("it asks at once");
            };
            assert_eq!(recovery.due(Millis::new(999)).len(), 1);
            assert_eq!(recovery.next() <= Some(Millis::new(1_000)), founding);
            let again = recovery.due(Millis::new(1_000));
            assert_eq!(again.len(), usize::from(founding));
            assert!(again.iter().all(|(_, nonce)| *nonce != first));
            let collection = recovery.get(ChainKind::Leaf, Epoch::ZERO);
            assert_eq!(collection.map(|c| c.insists), Some(founding));
            assert_eq!(recovery.unfound(), founding);
            let collection = recovery.get(ChainKind::Leaf, Epoch::ZERO);
            assert_eq!(collection.map(|c| c.insists), Some(false));
        }
    }
}
