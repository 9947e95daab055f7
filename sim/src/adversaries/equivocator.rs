//! Two nodes with one key. Each hears and tells only its own side, so both vote, propose and give up
//! views for the same member. Correct nodes would tell them of each other and honest ones would stop, so
//! they hide the messages by which that happens.

use frith_neighbourhood::wire::PeerMessage;

/// Whether a frame would show that there are two.
pub(super) fn hides_identity(bytes: &[u8]) -> bool {
    // The first byte of a frame is the message's index; only the identity messages are decoded.
    bytes.first().is_some_and(|first| *first < 3)
        && matches!(
            PeerMessage::from_bytes(bytes),
            Ok(PeerMessage::Hello(_) | PeerMessage::Relayed(_) | PeerMessage::Answer(_))
        )
}

/// Which of the two nodes talks to `peer`: true for the second.
pub(crate) const fn side_of(peer: usize) -> bool {
    peer % 2 == 1
}
