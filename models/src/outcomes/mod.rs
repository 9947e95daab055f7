//! A message between two leaves, from its sending to the end of every record of it, whatever couriers do.
//!
//! # What is explored
//!
//! A source and a destination, each in epochs of its own. At the end of an epoch a leaf claims its state and the
//! list of what left it. Couriers show any claim of one leaf to the other at any time, as often as they like, with
//! any message: late, repeated, in any order, with another message's proof, or with more value than was sent.
//!
//! 1. *Send*: the value leaves the sender; a pending record of the message stays.
//! 2. *Deliver*, at the destination, in an epoch up to the message's last, or *expire*, after it: with a proof of its
//!    place in the outbox, and only when no outcome of it is there. Writes the outcome.
//! 3. *Settle*, at the source: a claim that holds the outcome ends the pending record, and an expired message's
//!    value comes back.
//! 4. *Forget*, at the destination: the outcome goes once the message's last epoch is over and a claim of the source,
//!    of the epoch in which it was sent or a later one, holds no pending record of it.
//!
//! # What is the product's, and what the design's
//!
//! Today one leaf holds everything and delivers in the block that sends (`Overlay::send`, in `frith-tasks`): there is
//! no border that this could be checked on. What is there are the types that cross: [`Message`] and its id,
//! [`Outcome`], [`OutcomeKind`], [`Flows`] with their sums ([`Flows::conserve`], which executing a block and the root
//! check too), and the outbox with its proofs ([`outbox_root`], [`prove`], [`ListProof::verify`]); the model uses these.
//! The four rules above are the design's, written here as [`Leaf`]'s functions; whoever builds borders can take them.
//!
//! Not modelled: proofs against a claim's state are taken as given (a claim shows what it holds), claims are all
//! accepted and kept for good, nothing is cut back, leaves neither split nor merge, and couriers are not paid.
//!
//! # What it says about the formats
//!
//! - [`Outcome`] names its message by the id only. To forget it the message's last epoch and its sending epoch must be
//!   known: the courier shows the message, whose hash is the id, or the record has to keep both.
//! - A claim from before the sending epoch doesn't hold the pending record either, and proves nothing.
//! - Once its outcome is forgotten, a delivered message can be recorded as expired: its inclusion in the outbox can still be
//!   proven, and nothing remembers the delivery ([`RECORDED_AGAIN`]). No value moves, since the sender's record is gone. But an
//!   outcome alone then says nothing to a third party. Two ways out: the destination keeps the epoch of the newest
//!   claim by which it forgot, and asks for a pending record in a claim at least as new before it writes an outcome; or outcomes
//!   count together with the pending record only. The design's "neither can be written later or twice" needs one of them.
//!
//! [`Message`]: frith_ledger::message::Message
//! [`Outcome`]: frith_ledger::message::Outcome
//! [`OutcomeKind`]: frith_ledger::message::OutcomeKind
//! [`Flows`]: frith_ledger::block::Flows
//! [`Flows::conserve`]: frith_ledger::block::Flows::conserve
//! [`outbox_root`]: frith_ledger::outbox::outbox_root
//! [`prove`]: frith_ledger::outbox::prove
//! [`ListProof::verify`]: frith_ledger::outbox::ListProof::verify

mod model;
mod rules;

pub use self::model::{
    Action, CONSERVED, DELIVERED, ENDS, Errand, FORGOTTEN, Fate, KNOWN, NOT_BOTH, ONCE, Outcomes,
    RECORDED_AGAIN, REFUNDED, Scope, State,
};
pub use self::rules::{Leaf, Planted, Refused, Shown};
