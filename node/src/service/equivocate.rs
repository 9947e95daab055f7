//! The fault `equivocate`: beside every vote goes a second one, for a block that there is not, signed with the node's
//! key. For demonstrations of what the ledger does about it: a member shows both, and the stake is gone.
//!
//! The core stays as it is: it votes once, by its record. This stands between the core and the network, is put there only
//! by `--fault equivocate`, and holds the only code outside the core that signs votes.

use super::core::Outbound;
use frith_ledger::certificate::Vote;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecretKey};
use frith_neighbourhood::Priority;
use frith_neighbourhood::consensus::ConsensusMessage;
use frith_neighbourhood::wire::PeerMessage;
use parity_scale_codec::Encode as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sends what the core sends, and a second vote with each vote.
pub(super) struct Equivocator {
    inner: Arc<dyn Outbound>,
    key: SecretKey,
    genesis: Hash,
}

impl Equivocator {
    /// Votes twice through `inner` with the worker's key.
    pub(super) fn new(inner: Arc<dyn Outbound>, key: SecretKey, genesis: Hash) -> Self {
        Self {
            inner,
            key,
            genesis,
        }
    }

    /// The second vote, when a frame holds a first one.
    fn second(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let PeerMessage::Consensus {
            kind,
            epoch,
            message,
        } = PeerMessage::from_bytes(bytes).ok()?
        else {
            return None;
        };
        let ConsensusMessage::Vote(vote) = *message else {
            return None;
        };
        let other = Hash(*blake3::hash(&vote.block.0).as_bytes());
        let second = Vote::sign(
            vote.instance,
            vote.view,
            other,
            vote.member,
            vote.known.clone(),
            &self.genesis,
            &self.key,
        );
        let message = PeerMessage::Consensus {
            kind,
            epoch,
            message: Box::new(ConsensusMessage::Vote(Box::new(second))),
        };
        Some(message.encode())
    }
}

impl Outbound for Equivocator {
    fn send(&self, to: PublicKey, priority: Priority, bytes: Arc<[u8]>) {
        let second = self.second(&bytes);
        self.inner.send(to, priority, bytes);
        if let Some(second) = second {
            self.inner.send(to, priority, second.into());
        }
    }

    fn members(&self, members: BTreeSet<PublicKey>) {
        self.inner.members(members);
    }

    fn penalise(&self, peer: PublicKey) {
        self.inner.penalise(peer);
    }
}
