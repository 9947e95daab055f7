//! What a node has said must be on its disk after a power loss: persist, then speak. And whatever happened to its disk, it
//! signs one block of a view.

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
    /// Blocks voted for and blocks proposed, of the last epochs.
    signed: BTreeMap<Statement, BlockId>,
    /// The newest epoch that anybody spoke of.
    reached: Epoch,
}

/// Who signed something of which view: machine, chain, whether it is a proposal, epoch, view.
type Statement = (usize, ChainKind, bool, Epoch, View);

/// Epochs for which statements are remembered.
const EPOCHS: u64 = 4;
/// What a founder signed up to this view of the first epoch may go unnoticed when its disk was lost and it is said to be
/// new: nobody need have seen a certificate.
const UNNOTICED: View = View::new(2);

impl Speech {
    /// A node that follows the protocol signed something: never two blocks of a view, whatever its disk lost.
    pub(super) fn signed(
        &mut self,
        host: usize,
        kind: ChainKind,
        epoch: Epoch,
        message: &ConsensusMessage,
    ) -> Result<(), Violation> {
        let (proposes, view, block) = match message {
            ConsensusMessage::Vote(vote) => (false, vote.view, vote.block),
            ConsensusMessage::Proposal(proposal) => {
                (true, proposal.block.header.view, proposal.id())
            }
            _ => return Ok(()),
        };
        let statement = (host, kind, proposes, epoch, view);
        if *self.signed.entry(statement).or_insert(block) != block {
            return Err(Violation::SignedTwo {
                node: host,
                epoch,
                view,
            });
        }
        if epoch > self.reached {
            self.reached = epoch;
            self.signed
                .retain(|(_, _, _, past, _), _| past.plus(EPOCHS) > epoch);
        }
        Ok(())
    }

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

    /// The machine lost its disk; its directory says that a node has started there before, or not.
    pub(super) fn forget(&mut self, host: usize, marked: bool) {
        self.newest.retain(|(other, _), _| *other != host);
        self.votes.retain(|(other, _), _| *other != host);
        self.signed.retain(|(other, _, _, epoch, view), _| {
            marked || *other != host || *epoch > Epoch::ZERO || *view > UNNOTICED
        });
    }
}
