//! How a node is, for its operator.

use frith_ledger::address::Address;
use frith_ledger::certificate::Weight;
use frith_ledger::credits::Credits;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Height, UnixMillis, View};

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Why it isn't ready; empty when it is.
    pub unready: Vec<Unready>,
    /// Why it has stopped, if it has.
    pub halted: Option<String>,
    /// The epoch of its leaf.
    pub epoch: Epoch,
    /// Its last committed block.
    pub height: Height,
    /// The epoch of the next root record.
    pub roots: Epoch,
    /// The time of the newest root record; of the genesis when there is none.
    pub record_time: UnixMillis,
    /// The view of the leaf's instance.
    pub view: View,
    /// Its own index in the leaf's committee.
    pub member: Option<u16>,
    /// Whether it is in the root committee that decides the next record.
    pub root_member: bool,
    /// The leaf's committee.
    pub members: Vec<MemberStatus>,
    /// Connected peers, members and others.
    pub peers: usize,
    /// Operations that wait for a batch here.
    pub queued: usize,
    /// Batches that wait for a block, and how many of them are certified.
    pub batches: (usize, usize),
    /// Things that were asked of others and haven't come.
    pub wanted: usize,
    /// A copy of the state: epoch, entities so far, of how many.
    pub copying: Option<(Epoch, u64, u64)>,
    /// All credits in the committed state.
    pub credits: Credits,
    /// Entities in the committed state.
    pub entities: u64,
}

/// A member as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its key.
    pub key: PublicKey,
    /// Its seat.
    pub seat: Address,
    /// Its weight.
    pub weight: Weight,
    /// Whether it is connected, or this node.
    pub connected: bool,
    /// Whether it is this node.
    pub me: bool,
    /// How far it last said it is.
    pub height: Option<Height>,
}

/// Why a node isn't ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// It has stopped.
    #[error("it has stopped: {reason}")]
    Halted {
        /// Why.
        reason: String,
    },
    /// It doesn't know what it signed, and asks the members.
    #[error(
        "it doesn't know what this key signed before, and waits for reports of members with more than two thirds of the weight"
    )]
    Recovering,
    /// It copies the state.
    #[error("it copies the state")]
    Copying,
    /// Too few members are connected.
    #[error(
        "members with {connected} of {total} microcredits of voting weight are connected, more than two thirds are needed"
    )]
    Weight {
        /// The connected weight, its own counted.
        connected: Weight,
        /// All weight.
        total: Weight,
    },
    /// Its head is old.
    #[error("it is in epoch {epoch}, others are in epoch {newest}")]
    Behind {
        /// Its epoch.
        epoch: Epoch,
        /// The newest epoch that a member named.
        newest: Epoch,
    },
}
