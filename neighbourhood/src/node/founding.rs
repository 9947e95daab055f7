//! The first start of a member of the genesis.
//!
//! Its host says that it is one, and may be wrong: a directory that was lost and made anew looks the same. So the node
//! asks, as after a lost record, and votes from view 1 on when the others know of nothing
//! ([`Consensus::may_found`](crate::consensus::Consensus::may_found)). The record of the first instance and the right to
//! vote are one write: founders that all lose their power in between go on. Until then the store says that a founder
//! started on it, so that another start asks in the same way. Who finds that the network has begun recovers like a node
//! without a record; if the others can't answer as a quorum for long, it joins them on its host's word
//! ([`Consensus::join`](crate::consensus::Consensus::join)), which holds until it may vote in whatever begins, or somebody
//! shows a signature of its key.

use super::api::Output;
use super::core::Node;
use crate::consensus::{Report, SafetyRecord};
use crate::persist;
use frith_ledger::block::ChainKind;
use frith_ledger::units::{Epoch, Millis};

impl Node {
    /// Lets a founder vote when enough members have answered that nothing was decided yet. Whether it may now.
    pub(super) fn try_found(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        let instance = self.leaf.blocks.instance;
        // In later epochs, that nothing is certified yet says nothing of the epochs before.
        let first = self.recovery.founding && instance.epoch == Epoch::ZERO;
        if !first || !self.leaf.core.abstains() || !self.nothing_was_decided() {
            return false;
        }
        let writes = vec![
            persist::put_safety(
                instance.kind,
                instance.epoch,
                &SafetyRecord::fresh(instance),
            ),
            persist::put_voting(),
            persist::delete_founding(),
        ];
        if !self.write(writes) {
            return false;
        }
        self.recovery.found();
        self.recovery.end(instance.kind, instance.epoch);
        out.push(Output::Sync);
        self.leaf_call(now, out, |core, host, effects| {
            core.found(now, host, effects)
        });
        true
    }

    fn nothing_was_decided(&mut self) -> bool {
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.faults.vote_unasked {
            return true;
        }
        let instance = self.leaf.blocks.instance;
        let Some(collection) = self.recovery.get(ChainKind::Leaf, instance.epoch) else {
            return false;
        };
        let reports: Vec<Report> = collection.reports.values().cloned().collect();
        let may = self.leaf.core.may_found(collection.nonce, &reports);
        if !may && !self.leaf.core.is_founder() {
            self.unfound();
        }
        may
    }

    /// A founder joined an instance: from now on it may vote in whatever begins.
    pub(super) fn joined(&mut self) {
        if !self.recovery.clean {
            self.recovery.found();
            self.write(vec![persist::put_voting(), persist::delete_founding()]);
        }
    }

    /// A member showed that this isn't the first start.
    pub(super) fn unfound(&mut self) {
        if self.recovery.unfound() {
            self.write(vec![persist::delete_founding()]);
        }
    }
}
