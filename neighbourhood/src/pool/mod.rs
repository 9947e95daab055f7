//! The op pool: from an operation at one member to a batch that a quorum holds.
//!
//! 1. An operation that is canonical, signed and affordable waits in the queue of the member that
//!    got it. Operations of one account wait for their turn by nonce, and for the account's batch
//!    under way, since blocks order batches by digest.
//! 2. The member makes a signed batch, stores it, and sends it to the other members.
//! 3. A member that holds the batch with its operations and every content that they name, and has
//!    verified every signature itself, stores it, syncs, and acknowledges it.
//! 4. Acknowledgements of a quorum make an availability certificate, which the author sends round.
//!    From then on votes and timeouts list the batch, and a proposal owes it (see [`crate::leaf`]).
//! 5. A committed block that includes the batch ends its way; until then the author repeats what was
//!    lost, and so, more slowly, does everyone who knows the certificate.
//!
//! Invariants: an own acknowledgement follows the sync of the batch; at most `author_batches_max`
//! batches of an author wait at once, others are not acknowledged; an operation is in at most one
//! batch of this node at a time. An operation may stand in batches of two members: the state lets it
//! execute once.
//!
//! An operation that waits here, in the queue or in an own batch, keeps its account's nonce: another one with that nonce is
//! refused, whoever came first. Members that took one each find out when a block executes the first and refuses the second.

mod held;
mod queue;
mod seen;
mod waiting;

pub use held::{BatchFault, Held};
pub use queue::{Means, Queue, Queued, Slot};
pub use waiting::{Pool, Repeat, Waiting};
