//! What a node has said must be on its disk after a power loss: persist, then speak.

use super::Violation;
use frith_ledger::block::{BlockId, ChainKind};
use frith_ledger::store::SharedMemoryStore;
use frith_ledger::units::{Epoch, View};
use frith_neighbourhood::consensus::{ConsensusMessage, SafetyRecord};
use frith_neighbourhood::persist;
use std::collections::BTreeMap;

/// The newest view that each machine voted in or gave up, by chain, and its last vote.
#[derive(Debug, Default)]
pub(super) struct Speech {
    newest: BTreeMap<(usize, ChainKind), (Epoch, View)>,
    votes: BTreeMap<(usize, ChainKind), (Epoch, View, BlockId)>,
}

impl Speech {
    pub(super) fn said(
        &mut self,
        host: usize,
        kind: ChainKind,
        epoch: Epoch,
        message: &ConsensusMessage,
    ) -> Result<(), Violation> {
        let view = match message {
            ConsensusMessage::Vote(vote) => {
                let vote = (epoch, vote.view, vote.block);
                let last = self.votes.insert((host, kind), vote);
                let newest = self.newest.get(&(host, kind)).copied();
                if last != Some(vote) && newest.is_some_and(|newest| newest >= (epoch, vote.1)) {
                    return Err(Violation::SaidTwice {
                        node: host,
                        epoch,
                        view: vote.1,
                    });
                }
                vote.1
            }
            ConsensusMessage::Timeout(timeout) => timeout.view,
            _ => return Ok(()),
        };
        let newest = self.newest.entry((host, kind)).or_default();
        *newest = (*newest).max((epoch, view));
        Ok(())
    }

    /// The power of a machine failed: its record must know of everything that it said. Records of
    /// epochs that are over may be gone.
    pub(super) fn remembers(&self, host: usize, disk: &SharedMemoryStore) -> Result<(), Violation> {
        for kind in [ChainKind::Leaf, ChainKind::Root] {
            let Some((epoch, view)) = self.newest.get(&(host, kind)) else {
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
        self.newest.retain(|(other, _), _| *other != host);
        self.votes.retain(|(other, _), _| *other != host);
    }
}
