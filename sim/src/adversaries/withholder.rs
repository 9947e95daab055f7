//! A member that gives some what it keeps from others: proposals and certificates reach half of the members,
//! batches, answers and votes hardly anyone. So views end without a certificate although some saw one, blocks
//! name batches that few hold, and who lags waits for what it was promised.

use super::Frame;
use crate::random::Random;
use frith_neighbourhood::consensus::ConsensusMessage;
use frith_neighbourhood::wire::{PeerMessage, Response};
use std::sync::Arc;

pub(super) fn sends(random: &mut Random, to: usize, bytes: &Arc<[u8]>) -> Vec<Frame> {
    // Who is favoured changes from frame to frame, and often stays.
    let favoured = (to + usize::from(random.chance(150))).is_multiple_of(2);
    let goes_out = match PeerMessage::from_bytes(bytes) {
        Ok(PeerMessage::Consensus { message, .. }) => match *message {
            ConsensusMessage::Vote(_) => random.chance(400),
            ConsensusMessage::Timeout(_) => favoured && random.chance(500),
            ConsensusMessage::Proposal(_)
            | ConsensusMessage::Certificate(_)
            | ConsensusMessage::TimeoutCertificate(_) => favoured,
        },
        Ok(PeerMessage::Batch(_) | PeerMessage::Certified(_)) => favoured,
        Ok(PeerMessage::Response(response)) => match *response {
            Response::NotHeld(_) => true,
            _ => random.chance(200),
        },
        Ok(PeerMessage::Report(_)) => false,
        _ => true,
    };
    if goes_out {
        vec![(0, Arc::clone(bytes))]
    } else {
        Vec::new()
    }
}
