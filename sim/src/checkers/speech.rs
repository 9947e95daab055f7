//! What a node has said must be on its disk after a power loss: persist, then speak.

use super::Violation;
use frith_ledger::block::ChainKind;
use frith_ledger::store::SharedMemoryStore;
use frith_ledger::units::{Epoch, View};
use frith_neighbourhood::consensus::{ConsensusMessage, SafetyRecord};
use frith_neighbourhood::persist;
use std::collections::BTreeMap;

/// The newest view that each machine voted in or gave up, by chain.
#[derive(Debug, Default)]
pub(super) struct Speech(BTreeMap<(usize, ChainKind), (Epoch, View)>);

impl Speech {
    pub(super) fn said(
        &mut self,
        host: usize,
        kind: ChainKind,
        epoch: Epoch,
        message: &ConsensusMessage,
    ) {
        let view = match message {
            ConsensusMessage::Vote(vote) => vote.view,
            ConsensusMessage::Timeout(timeout) => timeout.view,
            _ => return,
        };
        let newest = self.0.entry((host, kind)).or_default();
        *newest = (*newest).max((epoch, view));
    }

    /// The power of a machine failed: its record must know of everything that it said. Records of
    /// epochs that are over may be gone.
    pub(super) fn remembers(&self, host: usize, disk: &SharedMemoryStore) -> Result<(), Violation> {
        for kind in [ChainKind::Leaf, ChainKind::Root] {
            let Some((epoch, view)) = self.0.get(&(host, kind)) else {
                continue;
            };
            let record = persist::safety::<SafetyRecord>(disk, kind, *epoch);
            if let Ok(Some(record)) = record
                && record.voted < *view
            {
                return Err(Violation::Forgot { node: host });
            }
        }
        Ok(())
    }

    /// The machine lost its disk.
    pub(super) fn forget(&mut self, host: usize) {
        self.0.retain(|(other, _), _| *other != host);
    }
}
