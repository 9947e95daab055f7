//! One root record an epoch, no credit created or lost in it, and a time that is near the right one and never falls.

use super::Violation;
use crate::faults::SKEW_MS_MAX;
use crate::world::BEGAN_MS;
use frith_ledger::block::{Payload, RootRecord};
use frith_ledger::hash::Hash;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, UnixMillis};
use frith_neighbourhood::CommittedBlock;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Roots {
    records: BTreeMap<Epoch, Hash>,
    times: BTreeMap<Epoch, UnixMillis>,
    /// When the first correct node committed the end of an epoch: nobody has voted for its record before.
    closed: BTreeMap<Epoch, u64>,
}

impl Roots {
    /// A correct node committed a block.
    pub(super) fn closed(&mut self, block: &CommittedBlock, now: u64) {
        if matches!(&block.block.payload, Payload::Leaf(payload) if payload.claim.is_some()) {
            self.closed.entry(block.epoch).or_insert(now);
        }
    }

    /// A record's time lies near the clocks of the right ones among those who voted for it, whenever they did.
    pub(super) fn timely(&mut self, record: &RootRecord, now: u64) -> Result<(), Violation> {
        let (epoch, time) = (record.epoch, record.time);
        let wrong = |what: String| Violation::Time { epoch, time, what };
        let fits = |other: &Epoch, than: &UnixMillis| {
            if *other < epoch {
                *than <= time
            } else {
                *than >= time
            }
        };
        let mut others = self.times.iter();
        if let Some((other, than)) = others.find(|(other, than)| !fits(other, than)) {
            return Err(wrong(format!("out of order with {than} of epoch {other}")));
        }
        self.times.insert(epoch, time);
        let off = Parameters::test().clock_tolerance_ms() + SKEW_MS_MAX;
        let latest = BEGAN_MS + now + off;
        if time.get() > latest {
            return Err(wrong(format!("after {latest}")));
        }
        let closed = self.closed.get(&epoch).copied().unwrap_or_default();
        let earliest = (BEGAN_MS + closed).saturating_sub(off);
        if time.get() < earliest {
            return Err(wrong(format!("before {earliest}")));
        }
        Ok(())
    }

    pub(super) fn committed(
        &mut self,
        node: usize,
        record: &RootRecord,
        supply: u128,
    ) -> Result<(), Violation> {
        let id = record.id();
        if *self.records.entry(record.epoch).or_insert(id) != id {
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
