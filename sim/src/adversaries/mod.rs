//! What goes wrong on purpose: members that follow the protocol only as far as it helps them.
//!
//! An adversary runs the real core and interferes with what goes in and out, so its messages are well
//! formed and signed: what a peer that merely sends rubbish can do is the business of the fuzzers.

mod equivocator;
mod silent;
mod slow;

pub(crate) use equivocator::side_of;

use crate::random::Random;

/// How a member misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adversary {
    /// Two nodes with one key, each talking to half of the others: both vote and propose.
    Equivocator,
    /// Listens and never votes, proposes or gives up a view.
    Silent,
    /// Everything it sends comes late.
    Slow,
    /// Follows the protocol, but reports wrong results of tasks.
    WrongResult,
}

impl Adversary {
    /// Draws who misbehaves; takes them from `budget`.
    pub fn draw(random: &mut Random, members: usize, budget: &mut usize) -> Vec<(usize, Self)> {
        let mut adversaries: Vec<(usize, Self)> = Vec::new();
        while *budget > 0 && random.chance(600) {
            let member = random.index(members);
            if adversaries.iter().any(|(index, _)| *index == member) {
                continue;
            }
            let adversary = match random.below(4) {
                0 => Self::Silent,
                1 => Self::Slow,
                2 => Self::WrongResult,
                _ => Self::Equivocator,
            };
            *budget -= 1;
            adversaries.push((member, adversary));
        }
        adversaries
    }

    /// Whether a frame of such a member goes out, and how much later.
    pub(crate) fn lets_out(self, random: &mut Random, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Silent => silent::lets_out(bytes).then_some(0),
            Self::Slow => Some(slow::delay(random)),
            Self::Equivocator => (!equivocator::hides_identity(bytes)).then_some(0),
            Self::WrongResult => Some(0),
        }
    }
}
