//! The core of a node: one state machine, from inputs to outputs.
//!
//! It never opens a socket, a file or a clock: the host feeds [`Input`]s with the time, performs the
//! [`Output`]s in order, and calls again at [`Node::next_deadline`]. Same inputs, same outputs.
//!
//! *Persist, then speak*: the core writes to its store itself, and emits [`Output::Sync`] between a write
//! and whatever depends on it: an acknowledgement, a vote, a proposal, a timeout, the news of a commit. A
//! store that fails halts the node.
//!
//! At any time a node runs the leaf's instance of one epoch, and until the record of the epoch before is
//! committed also the root's instance of that. Messages of instances that are still to begin are kept, a
//! few per peer; to those of past ones it answers how far it is.
//!
//! Map: `api` what goes in and out; `core` the frame; `epochs` begin and end of instances; `founding` the first
//! start of a member of the genesis; `commits` blocks and records; `messages` what peers say; `operations` the op pool; `serving` answers;
//! `catching_up` blocks and records, `seeking` whether others are far ahead, `copying` the state; `queries` what may be asked at any time,
//! `facts` what of it the chain and the store answer, `snapshot` the same on another thread.

mod api;
mod catching_up;
mod commits;
mod copying;
mod core;
mod epochs;
mod facts;
mod founding;
mod history;
mod messages;
mod operations;
mod queries;
mod seeking;
mod serving;
mod snapshot;

pub use api::{
    CommittedBlock, ExecutedOperation, Input, Misbehaviour, Moment, NeverExecuted, NodeConfig,
    NodeEvent, OpenError, OperationStatus, Output, Priority, SubmitError,
};
pub use core::{ContentAdder, ContentReader, Node};
pub use facts::Pooled;
pub use history::{Happening, HistoryBlock, HistoryPage};
pub use snapshot::Snapshot;
