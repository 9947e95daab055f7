//! What is said on the socket: a length of four bytes, little-endian, and SCALE.

use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::key::{PublicKey, Signature};
use frith_ledger::operation::OperationBody;
use frith_ledger::parameters::OPERATION_BYTES_MAX;
use parity_scale_codec::{Decode, Encode};
use std::io;

/// Bytes of a request or an answer: an operation and a little around it.
pub(super) const FRAME_BYTES_MAX: usize = OPERATION_BYTES_MAX + 256;

/// What an agent can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Request {
    /// Which account, and for how long.
    Describe,
    /// Sign an operation of the account.
    Sign(Box<OperationBody>),
    /// Forget the key and end.
    Lock,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Response {
    /// To [`Request::Describe`].
    Described(Described),
    /// To [`Request::Sign`].
    Signed {
        /// The account's key.
        key: PublicKey,
        /// Its signature.
        signature: Signature,
    },
    /// To [`Request::Lock`]: when the connection closes, the key is forgotten and the socket is gone.
    Locked,
    /// The operation is another account's.
    NotMine,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Described {
    /// The account whose key it holds.
    pub account: Address,
    /// Seconds until it forgets it.
    pub seconds_left: u64,
    /// Its process.
    pub process: u32,
    /// Whether its memory is kept from swap.
    pub in_memory: bool,
}

/// A value as a frame.
pub(super) fn frame(value: &impl Encode) -> Vec<u8> {
    let bytes = value.encode();
    // Values are bounded far below 2^32 by what they hold.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut frame = len.to_le_bytes().to_vec();
    frame.extend_from_slice(&bytes);
    frame
}

/// The length that a frame's first four bytes name.
pub(super) fn length(head: [u8; 4]) -> io::Result<usize> {
    let len = u32::from_le_bytes(head) as usize;
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!(
            "a frame of {len} bytes; at most {FRAME_BYTES_MAX} are read"
        )));
    }
    Ok(len)
}

/// The value in a frame's bytes.
pub(super) fn value<T: Decode + Encode>(bytes: &[u8]) -> io::Result<T> {
    decode(bytes, FRAME_BYTES_MAX)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_requests_to_an_agent_and_its_answers() {
        frith_fuzz::harness!(|input: &[u8]| {
            frith_fuzz::codec::<Request, _>(input, FRAME_BYTES_MAX, value);
            frith_fuzz::codec::<Response, _>(input, FRAME_BYTES_MAX, value);
        });
    }

    #[test]
    fn a_frame_longer_than_the_bound_is_refused_before_it_is_read() {
        let most = u32::try_from(FRAME_BYTES_MAX).expect("is small");
        assert!(length(most.to_le_bytes()).is_ok());
        assert!(length((most + 1).to_le_bytes()).is_err());
    }
}
