//! How a node catches up with others.
//!
//! - Nodes tell each other how far they are: on a connection, when an epoch or a record is done, when a
//!   message shows that the sender is behind, and after commits those who aren't members.
//! - **Single things** (a batch that a block names, a proposal, a record) are asked of who should have
//!   them, then of others, with growing pauses: [`Wants`].
//! - **Blocks**: a node behind by at most [`crate::Limits::block_sync_epochs`] epochs asks for committed
//!   blocks, an epoch's at a time, with a commit proof of the last. It verifies the proof under the
//!   epoch's committee, follows the parents' ids, executes every block and compares its state.
//! - **State**: a node that seems to be further behind, or with an empty store far from the genesis, follows the
//!   root committees from the genesis ([`frith_ledger::light::LightClient`]), takes the newest record, and, when that is
//!   far ahead, copies the state that it names: in slots of the address space, from several peers at once ([`Pulls`]), every
//!   piece proven against the record and saved as it comes. See [`StateCopy`] and [`TreeCopy`].
//!
//! Nothing that a peer says is believed without proof; a wrong answer costs it its turn and is reported.
//! What is served to one peer in a second is bounded ([`Bucket`]).

mod bucket;
mod kept;
mod pulls;
mod state;
mod tree;
mod wants;

pub use bucket::Bucket;
pub use kept::forget;
pub use pulls::Pulls;
pub use state::{BeginError, Checked, Copied, CopyError, StateCopy};
pub use tree::{GroupSave, TreeCopy, slot_bits, slot_summaries};
pub use wants::{Want, Wants};
