//! One consensus instance: two-chain `HotStuff` with timeout certificates, without I/O.
//!
//! Decides one epoch of one chain under one committee ([`Instance`](frith_ledger::block::Instance)).
//! It knows votes and certificates, never payloads, batches, time of day, sockets or files: those are
//! the [`Host`]'s. Same inputs, same effects.
//!
//! # The protocol
//!
//! Views are counted from 1; each has one leader, see `leader`. Weights decide: a *quorum* is
//! more than two thirds of the committee's weight, and at most a third may be faulty.
//!
//! 1. **Propose.** The leader of view v extends the block of the highest quorum certificate (QC) that
//!    it knows. Its [`Proposal`](frith_ledger::block::Proposal) carries that QC, which is of view v − 1;
//!    or else it also carries a timeout certificate (TC) of view v − 1, and the QC is at least as high
//!    as any of the TC's signers had. With nothing to propose it stays silent.
//! 2. **Vote.** A member votes for a proposal of the view that it is in, once, if it follows the view
//!    before by the rule in 1, its leader signed it, height and parent fit, and the host executed it
//!    and accepts. The vote goes to the leader of view v + 1, who makes a QC of a quorum of them. A QC
//!    of view v leads everyone who sees it into view v + 1.
//! 3. **Commit.** A block is committed, with its ancestors, when a child that was proposed in the very
//!    next view is certified. A member that made a QC and has nothing to propose sends the QC to all,
//!    so that the last commit becomes known.
//! 4. **Give up.** When a view takes too long, a member signs a timeout with its highest QC, sends it to
//!    all, and won't vote in that view any more. It repeats it, ever more rarely, until the view ends.
//!    A member that sees timeouts of more than a third of the weight, of its view or later ones, gives
//!    up too (Bracha's amplification). A quorum of timeouts of one view is its TC and leads into the
//!    next view; who makes one sends it to the next leader.
//! 5. **Catch up.** Who receives a vote or timeout of an old view answers with its highest certificates,
//!    to one member once in half a first timeout. Blocks that are known only by a certificate are asked
//!    for, from one member after the other. A gap of more than [`FETCH_DEPTH`] blocks is for block
//!    sync ([`Consensus::synced`]).
//! 6. **Record.** Before a vote, timeout or proposal leaves, the [`SafetyRecord`] that covers it is saved
//!    and [`Effect::Sync`] emitted. A member without its record abstains and recovers by reports, see
//!    `recovery`. So does one that is shown an own signature later than its record.
//!
//! The view timer runs only while the host has work or a block with content waits for its commit: an
//! idle instance sends nothing. What the host calls `Accept` must not depend on anything but the chain
//! up to the block; rules of a member's own (clocks) are `Abstain`.
//!
//! # Invariants
//!
//! - No two blocks are certified in one view: two quorums share a correct member, and it votes once.
//! - A committed block is an ancestor of every block certified in a later view. Let B of view w − 1 be
//!   committed by the QC of its child in w. A quorum voted for the child holding the QC of B, durably.
//!   By induction on u ≥ w: every TC of view u names a view of at least w − 1, since a correct member
//!   voted for the child and later gave up u; and every block certified in a view u > w was proposed on
//!   a QC of view u − 1 ≥ w, or on one as high as a TC of view u − 1 ≥ w names. Either QC is of B's child,
//!   of B, or of a block that extends B by the induction.
//! - So commits of correct members are prefixes of one chain, also over crashes; the argument for lost
//!   records is in `recovery`.
//! - Progress: once messages arrive within the (doubled) timeout, all correct members enter a view
//!   within one round trip of each other, by repeated timeouts and answers, and three correct leaders in
//!   a row commit. `leader` shows that there are such.
//!
//! # Limits
//!
//! Of one member at most four votes and one timeout are kept, and votes for at most 16 views ahead. At
//! most 512 blocks lie above the committed head, of which 16 without a certificate; 128 verified
//! certificates and 1,024 verified or own votes and timeouts are remembered, so each signature is checked
//! once, alone or in a certificate. A call goes through at most 16 views (a committee of one decides
//! alone); it asks to be called again then.
//!
//! # Sources and deviations
//!
//! Gelashvili, Kokoris-Kogias, Sonnino, Spiegelman, Xiang: "Jolteon and Ditto: Network-Adaptive
//! Efficient Consensus with Asynchronous Fallback" (2021), figure 2, without the fallback; the `DiemBFT`
//! v4 report (2021). Amplification: Bracha (1987). What differs:
//!
//! - Weights instead of counts, and leaders by weight.
//! - Votes and timeouts list the batches that the signer knows, and a block's id covers its QC and TC,
//!   because what it must include follows from them.
//! - A TC holds only views, not the signers' QCs. It is taken in only together with a QC as high as it
//!   names, so that a faulty signer can't name a view that no proposal can build on.
//! - TCs are not broadcast by everyone, but sent to the next leader, carried by its proposal, and given
//!   to who is behind.
//! - The timeout doubles with every TC until the next commit, not until the next QC: where a round trip
//!   is longer than the first timeout, single views would succeed and never two in a row.
//! - The record holds the highest TC too, so that a restarted member is in the view that it was in.
//! - Idleness, reports and the floor after a recovery are additions.

mod certify;
mod chain;
mod core;
mod leader;
mod messages;
mod pacemaker;
mod proposals;
mod recovery;
pub mod rules;
mod safety;
mod setup;
mod tally;
mod tree;
mod verified;

pub use self::chain::FETCH_DEPTH;
pub use self::core::Consensus;
pub use self::messages::{ConsensusMessage, Effect, Fault, Proven};
pub use self::recovery::{RecoverError, Report, ReportRequest, ReporterRecord};
pub use self::safety::SafetyRecord;
#[cfg(any(test, feature = "planted-bugs"))]
pub use self::setup::Faults;
pub use self::setup::{Base, Head, Host, Parent, Setup, Verdict};

#[cfg(test)]
mod tests;
