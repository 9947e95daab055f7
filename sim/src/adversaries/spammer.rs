//! A member that wastes the others' time: every frame several times, its old frames again, questions whose
//! answers are long, offers of batches that nobody has, operations that nobody signed, and rubbish.

use super::{Frame, Malice};
use crate::random::Random;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::hash::Hash;
use frith_ledger::units::{Epoch, Height};
use frith_neighbourhood::wire::{PeerMessage, Request};
use parity_scale_codec::Encode as _;
use std::sync::Arc;

pub(super) fn sends(malice: &mut Malice, random: &mut Random, bytes: &Arc<[u8]>) -> Vec<Frame> {
    malice.remember(bytes);
    let mut frames = vec![(0, Arc::clone(bytes))];
    if random.chance(300) {
        frames.push((random.below(400), Arc::clone(bytes)));
    }
    if random.chance(300) {
        let old = random.index(malice.remembered.len());
        let old = malice.remembered.get(old).cloned();
        frames.extend(old.map(|old| (random.below(50), old)));
    }
    if random.chance(300) {
        frames.push((random.below(50), invented(random)));
    }
    frames
}

fn invented(random: &mut Random) -> Arc<[u8]> {
    let message = match random.below(6) {
        0 => PeerMessage::Request(Request::Blocks {
            from: Height::new(random.below(100)),
        }),
        1 => PeerMessage::Request(Request::Checkpoint { period: 0 }),
        2 => PeerMessage::Request(Request::Range {
            epoch: Epoch::new(random.below(20)),
            prefix: Prefix::ROOT,
            from: Address::default(),
        }),
        3 => PeerMessage::Offer(Hash(random.bytes())),
        4 => PeerMessage::Submit(random.bytes().to_vec().try_into().unwrap_or_default()),
        _ => {
            let length = random.index(300);
            let rubbish: Vec<u8> = (0..length)
                .map(|_| u8::try_from(random.below(256)).unwrap_or(0))
                .collect();
            return rubbish.into();
        }
    };
    message.encode().into()
}
