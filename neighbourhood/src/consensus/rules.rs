//! What may be voted for, given up, built on and committed: functions of views and nothing else.
//!
//! Source: Jolteon (2021), figure 2.

use frith_ledger::units::View;

/// What a timeout certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// The view that a quorum gave up.
    pub view: View,
    /// The highest view of a quorum certificate that any of its signers had.
    pub high: View,
}

/// Whether a proposal of `view` on a certificate of view `justify` follows the view before its own: by that
/// certificate, or by a timeout certificate none of whose signers knew more than the proposal builds on.
#[must_use]
pub fn follows(view: View, justify: View, given_up: Option<GivenUp>) -> bool {
    match given_up {
        None => justify.next() == view,
        Some(GivenUp { view: last, high }) => {
            last.next() == view && justify < last && justify >= high
        }
    }
}

/// Whether a member that is in `view`, and has voted in or given up views up to `voted`, may vote for a
/// proposal of view `proposed` that follows.
#[must_use]
pub fn may_vote(view: View, proposed: View, voted: View) -> bool {
    proposed == view && view > voted
}

/// Whether a member that has proposed in `proposed` and voted in or given up `voted` may propose in `view`.
#[must_use]
pub fn may_propose(view: View, proposed: View, voted: View) -> bool {
    view > proposed && view > voted
}

/// Whether a member that holds a certificate of view `high`, and held one of `locked` when it last signed,
/// may give up `view`. It may repeat itself, and give up a view that it voted in.
#[must_use]
pub fn may_give_up(view: View, voted: View, high: View, locked: View) -> bool {
    view >= voted && high >= locked
}

/// Whether a certificate of view `certified` of a block proposed in `child` commits the block's parent,
/// which was proposed in `parent`.
#[must_use]
pub fn commits(parent: View, child: View, certified: View) -> bool {
    parent.next() == child && child == certified
}
