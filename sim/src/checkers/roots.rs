//! One root record an epoch, and no credit created or lost in it.

use super::Violation;
use frith_ledger::block::RootRecord;
use frith_ledger::hash::Hash;
use frith_ledger::units::Epoch;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Roots(BTreeMap<Epoch, Hash>);

impl Roots {
    pub(super) fn committed(
        &mut self,
        node: usize,
        record: &RootRecord,
        supply: u128,
    ) -> Result<(), Violation> {
        let id = record.id();
        if *self.0.entry(record.epoch).or_insert(id) != id {
            return Err(Violation::RootFork {
                node,
                epoch: record.epoch,
            });
        }
        let flows = &record.flows;
        let found = record.state.credits.get() + flows.burned.get() + flows.sent.get();
        let expected = supply + flows.issued.get() + flows.received.get() + flows.refunded.get();
        if found == expected {
            Ok(())
        } else {
            Err(Violation::Credits {
                epoch: record.epoch,
                found,
                expected,
            })
        }
    }
}
