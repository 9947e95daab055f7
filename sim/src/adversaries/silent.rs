//! A member that listens and keeps its consensus messages to itself.

use frith_neighbourhood::wire::PeerMessage;

pub(super) fn lets_out(bytes: &[u8]) -> bool {
    !matches!(
        PeerMessage::from_bytes(bytes),
        Ok(PeerMessage::Consensus { .. })
    )
}
