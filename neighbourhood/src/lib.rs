//! The core of a Frith node: consensus, op pool, epochs, beacon, membership and sync of a neighbourhood.
//!
//! It never opens a socket or a file, reads a clock or draws entropy: time, randomness and the store come
//! in from outside, and what is to be sent goes out as values. So the same core runs in a native node, in a
//! browser, and many times over in a simulator.
//!
//! Map, from the bottom up:
//!
//! - [`limits`], [`wire`], [`persist`]: bounds, messages, what is stored;
//! - [`beacon`], [`membership`], [`roots`]: randomness, committees, root records;
//! - [`consensus`]: one instance of two-chain HotStuff; [`leaf`], [`root`]: what its blocks say;
//! - [`pool`]: from operations to certified batches; [`chain`]: the committed chain;
//! - [`sync`], [`recovery`], [`twin`], [`peers`]: catching up, lost records, second processes;
//! - [`node`]: all of it as one state machine; [`status`]: how it is.
//!
//! The specification is `docs/protocol.md`.

pub mod beacon;
pub mod chain;
pub mod consensus;
pub mod history;
pub mod leaf;
pub mod limits;
pub mod log;
pub mod membership;
pub mod node;
pub mod peers;
pub mod persist;
pub mod pool;
pub mod record;
pub mod recovery;
pub mod root;
pub mod roots;
pub mod status;
pub mod sync;
pub mod twin;
pub mod wire;

pub use limits::{Limits, Occupancy};
pub use node::{
    CommittedBlock, ContentAdder, ContentReader, ExecutedOperation, Happening, HistoryBlock,
    HistoryPage, Input, Misbehaviour, Moment, NeverExecuted, Node, NodeConfig, NodeEvent,
    OpenError, OperationStatus, Output, Pooled, Priority, Snapshot, SubmitError,
};
pub use pool::Slot;
pub use root::ClocksDiffer;
pub use status::{MemberStatus, NodeStatus, Unready};

#[cfg(test)]
mod tests;
