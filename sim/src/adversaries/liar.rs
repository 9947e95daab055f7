//! A member that lies to who catches up: it says that it is further than it is, that it lacks what it has, and
//! answers with one altered bit, so well that the answer still decodes.

use super::Frame;
use crate::random::Random;
use frith_ledger::units::Height;
use frith_neighbourhood::wire::{PeerMessage, Response};
use parity_scale_codec::Encode as _;
use std::sync::Arc;

/// Bits that are tried until the frame still decodes.
const TRIES: usize = 16;

pub(super) fn sends(random: &mut Random, bytes: &Arc<[u8]>) -> Vec<Frame> {
    let lie = match PeerMessage::from_bytes(bytes) {
        Ok(PeerMessage::Status(mut status)) if random.chance(500) => {
            match random.below(3) {
                0 => status.epoch = status.epoch.plus(random.between(1, 60)),
                1 => status.height = status.height.plus(random.between(1, 500)),
                _ => {
                    status.first = Height::ZERO;
                    status.roots = status.roots.plus(random.between(1, 60));
                }
            }
            PeerMessage::Status(status).encode().into()
        }
        Ok(PeerMessage::Response(response)) if random.chance(700) => {
            lie(random, bytes, *response).unwrap_or_else(|| Arc::clone(bytes))
        }
        _ => Arc::clone(bytes),
    };
    vec![(0, lie)]
}

fn lie(random: &mut Random, bytes: &[u8], response: Response) -> Option<Arc<[u8]>> {
    if let Response::Blocks(mut blocks) = response
        && random.chance(300)
    {
        // The proof of the last block for fewer blocks.
        let mut fewer = blocks.blocks.into_inner();
        fewer.pop();
        blocks.blocks = fewer.try_into().ok()?;
        let response = Box::new(Response::Blocks(blocks));
        return Some(PeerMessage::Response(response).encode().into());
    }
    (0..TRIES).find_map(|_| {
        let mut altered = bytes.to_vec();
        let at = 2 + random.index(altered.len().saturating_sub(2));
        *altered.get_mut(at)? ^= 1 << random.below(8);
        PeerMessage::from_bytes(&altered)
            .is_ok()
            .then(|| altered.into())
    })
}
