//! Peer keys and their libp2p names.
//!
//! A libp2p peer id of an Ed25519 key *is* the key: the identity multihash of the key's protobuf
//! encoding (libp2p specification, "Peer Ids and Keys"). So both directions are pure functions, and
//! an id of any other kind of key has no [`PeerKey`].

use std::fmt;

use libp2p::PeerId;
use libp2p::multihash::Multihash;

/// Protobuf of a libp2p public key up to its bytes: field 1 (type) = 1 (Ed25519), field 2 (data),
/// 32 bytes long.
const PROTOBUF_HEAD: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// Multihash code of the identity function.
const IDENTITY: u64 = 0;

/// Ed25519 public key of a peer (its worker key).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey([u8; 32]);

impl PeerKey {
    /// The key with these 32 bytes. They are not checked to be a point of the curve: nobody can
    /// prove to own one that is not.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn from_peer_id(id: &PeerId) -> Option<Self> {
        let multihash: &Multihash<64> = id.as_ref();
        if multihash.code() != IDENTITY {
            return None;
        }
        let key = multihash.digest().strip_prefix(&PROTOBUF_HEAD)?;
        Some(Self(key.try_into().ok()?))
    }

    pub(crate) fn to_peer_id(self) -> PeerId {
        let mut digest = [0; 36];
        digest[..4].copy_from_slice(&PROTOBUF_HEAD);
        digest[4..].copy_from_slice(&self.0);
        let multihash =
            Multihash::wrap(IDENTITY, &digest).expect("36 bytes are below the 64 of a multihash");
        PeerId::from_multihash(multihash)
            .expect("an identity multihash of at most 42 bytes is a peer id")
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({self})")
    }
}

/// The first eight bytes in hexadecimal: for logs, never for identification.
impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn a_key_and_its_peer_id_name_each_other() {
        for seed in 0..16 {
            let pair = Keypair::ed25519_from_bytes([seed; 32]).expect("any 32 bytes are a seed");
            let id = pair.public().to_peer_id();
            let key = PeerKey::from_peer_id(&id).expect("an Ed25519 peer id holds its key");
            let public = pair.public().try_into_ed25519().expect("an Ed25519 key");
            assert_eq!(key.as_bytes(), &public.to_bytes());
            assert_eq!(key.to_peer_id(), id);
        }
    }

    #[test]
    fn an_id_that_is_no_ed25519_key_has_no_peer_key() {
        assert_eq!(PeerKey::from_peer_id(&PeerId::random()), None);
    }
}
