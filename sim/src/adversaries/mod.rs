//! What goes wrong on purpose: members that follow the protocol only as far as it helps them.
//!
//! An adversary runs the real core, holds its keys, and interferes with what goes out: frames are kept back,
//! altered and signed again, multiplied or invented. So most of what it says is well formed: what a peer that
//! merely sends rubbish can do is the business of the fuzzers. Nobody bans it here, as the network would.

mod equivocator;
mod forger;
mod liar;
mod slow;
mod spammer;
mod withholder;

pub(crate) use equivocator::side_of;

use crate::random::Random;
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_neighbourhood::wire::PeerMessage;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that an adversary remembers, to send them again.
const REMEMBERED_MAX: usize = 64;

/// How a member misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Adversary {
    /// Two nodes with one key, each talking to half of the others: both vote and propose.
    Equivocator,
    /// Listens and never votes, proposes or gives up a view.
    Silent,
    /// Gives some what it keeps from others.
    Withholder,
    /// Sends everything several times, old frames again, questions nobody needs, and rubbish.
    Spammer,
    /// Answers what nobody can believe, and says that it is where it isn't.
    Liar,
    /// Signs and certifies what isn't so.
    Forger,
    /// Everything it sends comes late.
    Slow,
    /// Follows the protocol, but reports wrong results of tasks.
    WrongResult,
    /// Proposes on less than it knows after a view that was given up.
    StaleLeader,
}

/// All of them.
pub const ALL: [Adversary; 9] = [
    Adversary::Equivocator,
    Adversary::Silent,
    Adversary::Withholder,
    Adversary::Spammer,
    Adversary::Liar,
    Adversary::Forger,
    Adversary::Slow,
    Adversary::WrongResult,
    Adversary::StaleLeader,
];

/// What an adversary has to work with.
pub(crate) struct Malice {
    key: SecretKey,
    genesis: Hash,
    remembered: VecDeque<Arc<[u8]>>,
}

/// A frame on its way out, and how much later than it should.
pub(crate) type Frame = (u64, Arc<[u8]>);

impl Malice {
    pub(crate) const fn new(key: SecretKey, genesis: Hash) -> Self {
        Self {
            key,
            genesis,
            remembered: VecDeque::new(),
        }
    }

    fn remember(&mut self, bytes: &Arc<[u8]>) {
        self.remembered.push_back(Arc::clone(bytes));
        if self.remembered.len() > REMEMBERED_MAX {
            self.remembered.pop_front();
        }
    }
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
            let adversary = ALL[random.index(ALL.len())];
            *budget -= 1;
            adversaries.push((member, adversary));
        }
        adversaries
    }

    /// What goes out to member `to` in place of a frame.
    pub(crate) fn sends(
        self,
        malice: &mut Malice,
        random: &mut Random,
        to: usize,
        bytes: &Arc<[u8]>,
    ) -> Vec<Frame> {
        let as_it_is = || vec![(0, Arc::clone(bytes))];
        match self {
            Self::Silent if is_consensus(bytes) => Vec::new(),
            Self::Equivocator if equivocator::hides_identity(bytes) => Vec::new(),
            Self::Slow => vec![(slow::delay(random), Arc::clone(bytes))],
            Self::Withholder => withholder::sends(random, to, bytes),
            Self::Spammer => spammer::sends(malice, random, bytes),
            Self::Liar => liar::sends(random, bytes),
            Self::Forger => forger::sends(malice, random, bytes),
            Self::Silent | Self::Equivocator | Self::WrongResult | Self::StaleLeader => as_it_is(),
        }
    }
}

/// The first byte of a frame is the message's index: only what may be of interest is decoded.
const CONSENSUS: u8 = 4;

fn is_consensus(bytes: &[u8]) -> bool {
    bytes.first() == Some(&CONSENSUS)
        && matches!(
            PeerMessage::from_bytes(bytes),
            Ok(PeerMessage::Consensus { .. })
        )
}
