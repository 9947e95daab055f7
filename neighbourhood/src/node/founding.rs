//! The first start of a member of the genesis.
//!
//! Its host says that it is one, and may be wrong: a directory that was lost and made anew looks the same. So the node
//! asks, as after a lost record, and votes from view 1 on when the others know of nothing
//! ([`Consensus::may_found`](crate::consensus::Consensus::may_found)). The record of the first instance and the right to
//! vote are one write: founders that all lose their power in between go on. Until then the store says that a founder
//! started on it, so that another start asks in the same way. Who sees the first epoch end before that is no founder any
//! more, and recovers.

use super::api::Output;
use super::core::Node;
use crate::consensus::{Report, SafetyRecord};
use crate::persist;
use frith_ledger::block::ChainKind;
use frith_ledger::units::Millis;

impl Node {
    /// Lets a founder vote when enough members have answered that nothing was decided yet. Whether it may now.
    pub(super) fn try_found(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        if !self.recovery.founding || !self.leaf.core.abstains() || !self.nothing_was_decided() {
            return false;
        }
        let instance = self.leaf.blocks.instance;
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
        self.leaf.core.may_found(collection.nonce, &reports)
    }

    /// A member showed that this isn't the first start.
    pub(super) fn unfound(&mut self) {
        if std::mem::take(&mut self.recovery.founding) {
            self.write(vec![persist::delete_founding()]);
        }
    }
}
