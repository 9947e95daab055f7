//! What goes over a stream, and nothing of how.
//!
//! **Frame**: a header of five bytes, then the payload.
//!
//! ```text
//! offset 0  length of the payload, u32 little-endian, at most the receiver's frame_bytes_max
//! offset 4  kind: 0 consensus, 1 control, 2 bulk, 0xF0 hello, 0xF1 refusal
//! offset 5  payload
//! ```
//!
//! A stream of `/frith/peer/1` begins with a hello in each direction, the opener's first; the
//! answer is a hello or a refusal, and after a refusal the stream ends. A hello names the *class*
//! of the stream: the priority whose frames it carries from then on, in both directions, and no
//! others; or [`CLASS_PROBE`], which asks for the answer alone.
//!
//! **Fetch** (`/frith/fetch/1`): the opener sends the request's length (u32 little-endian) and the
//! request; the answer is a status byte ([`FetchStatus`]), the response's length and the response.
//!
//! Hello and refusal are SCALE, at most [`GREETING_BYTES_MAX`] bytes, without anything behind. All
//! decoders are total on any bytes and allocate nothing that a peer chose the size of.

use parity_scale_codec::{Decode, DecodeAll, Encode};

/// Bytes of a frame header.
pub const FRAME_HEADER_BYTES: usize = 5;
/// Longest hello or refusal, in bytes.
pub const GREETING_BYTES_MAX: u32 = 128;
/// The version of the peer protocol that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;
/// Class of a stream that only asks whether the process at the other end still lives.
pub const CLASS_PROBE: u8 = 0xFF;

const KIND_HELLO: u8 = 0xF0;
const KIND_REFUSAL: u8 = 0xF1;
/// First bytes of every hello, so that a stranger's protocol is told apart from another version of
/// this one.
const MAGIC: [u8; 4] = *b"frth";

/// How urgent a frame is. Lower is sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// Proposals, votes, timeouts. When its queue is full the oldest frame gives way: a newer view
    /// supersedes it.
    Consensus = 0,
    /// Small protocol messages that are not votes.
    Control = 1,
    /// Batches, sync. When its queue is full the sender is told so.
    Bulk = 2,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Control, Self::Bulk];

    /// Its place in [`Priority::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Consensus),
            1 => Some(Self::Control),
            2 => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The node's bytes.
    Message(Priority),
    /// A [`Hello`].
    Hello,
    /// A [`Refusal`].
    Refusal,
}

impl FrameKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Message(priority) => priority as u8,
            Self::Hello => KIND_HELLO,
            Self::Refusal => KIND_REFUSAL,
        }
    }
}

/// The five bytes before every payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of payload that follow.
    pub length: u32,
    /// What they are.
    pub kind: FrameKind,
}

/// Why received bytes are not a frame, a greeting or a fetch. Always the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The announced length is above the limit.
    #[error("a frame of {length} bytes is announced, at most {max} are accepted")]
    TooLong {
        /// Announced bytes.
        length: u32,
        /// Accepted bytes.
        max: u32,
    },
    /// No such kind of frame.
    #[error("unknown frame kind {kind:#04x}")]
    UnknownKind {
        /// The byte received.
        kind: u8,
    },
    /// A known kind at the wrong place.
    #[error("frame kind {kind:#04x} does not belong here")]
    Misplaced {
        /// The byte received.
        kind: u8,
    },
    /// A hello or refusal that does not decode.
    #[error("a hello or refusal of {length} bytes that cannot be decoded")]
    Greeting {
        /// Its bytes.
        length: usize,
    },
    /// No such fetch status.
    #[error("unknown fetch status {status}")]
    UnknownStatus {
        /// The byte received.
        status: u8,
    },
}

/// Encodes a frame header.
#[must_use]
pub fn encode_frame_header(header: FrameHeader) -> [u8; FRAME_HEADER_BYTES] {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    bytes[..4].copy_from_slice(&header.length.to_le_bytes());
    bytes[4] = header.kind.byte();
    bytes
}

/// Decodes a frame header and refuses a payload above `frame_bytes_max`, before anything is
/// allocated for it.
///
/// # Errors
/// [`WireError::UnknownKind`] and [`WireError::TooLong`].
pub fn decode_frame_header(
    bytes: [u8; FRAME_HEADER_BYTES],
    frame_bytes_max: u32,
) -> Result<FrameHeader, WireError> {
    let [a, b, c, d, kind] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]);
    let (kind, max) = match kind {
        KIND_HELLO => (FrameKind::Hello, GREETING_BYTES_MAX),
        KIND_REFUSAL => (FrameKind::Refusal, GREETING_BYTES_MAX),
        other => match Priority::from_byte(other) {
            Some(priority) => (FrameKind::Message(priority), frame_bytes_max),
            None => return Err(WireError::UnknownKind { kind: other }),
        },
    };
    if length > max {
        return Err(WireError::TooLong { length, max });
    }
    Ok(FrameHeader { length, kind })
}

/// The first frame of a stream: who speaks, and about which network.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    magic: [u8; 4],
    /// Version of the peer protocol.
    pub version: u16,
    /// Hash of the genesis.
    pub network_id: [u8; 32],
    /// Drawn anew by each process. Two processes that hold one key differ here.
    pub instance: [u8; 16],
    /// The priority of the stream, or [`CLASS_PROBE`].
    pub class: u8,
}

impl Hello {
    /// A hello of this version.
    #[must_use]
    pub const fn new(network_id: [u8; 32], instance: [u8; 16], class: u8) -> Self {
        Self {
            magic: MAGIC,
            version: PROTOCOL_VERSION,
            network_id,
            instance,
            class,
        }
    }

    /// The priority that the class stands for; `None` for a probe or an unknown class.
    #[must_use]
    pub const fn priority(&self) -> Option<Priority> {
        Priority::from_byte(self.class)
    }
}

/// Why a hello was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The peer keeps another ledger.
    #[error("the peer belongs to another network")]
    WrongNetwork {
        /// The genesis hash of the one who refuses.
        network_id: [u8; 32],
    },
    /// The peer speaks another version.
    #[error("the peer speaks version {version} of the peer protocol")]
    Version {
        /// The version of the one who refuses.
        version: u16,
    },
    /// Another connection between the same two processes is in use. Not a fault.
    #[error("another connection to this peer is in use")]
    Duplicate,
    /// Repeated misbehaviour.
    #[error("banned for a while")]
    Banned,
    /// No such class, or that class a second time.
    #[error("stream class {class} is unknown or taken")]
    Class {
        /// The class asked for.
        class: u8,
    },
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Accepted.
    Hello(Hello),
    /// Not accepted; the stream ends.
    Refusal(Refusal),
}

impl Greeting {
    /// Header and payload of the greeting.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Hello(hello) => (FrameKind::Hello, hello.encode()),
            Self::Refusal(refusal) => (FrameKind::Refusal, refusal.encode()),
        };
        let length =
            u32::try_from(payload.len()).expect("a greeting is shorter than GREETING_BYTES_MAX");
        let mut frame = encode_frame_header(FrameHeader { length, kind }).to_vec();
        frame.extend_from_slice(&payload);
        frame
    }
}

/// Decodes the payload of a greeting of this kind. Total on any bytes.
///
/// # Errors
/// [`WireError::Greeting`] when the bytes are no greeting, or more than one;
/// [`WireError::Misplaced`] when `kind` is a message.
pub fn decode_greeting(kind: FrameKind, mut payload: &[u8]) -> Result<Greeting, WireError> {
    let malformed = WireError::Greeting {
        length: payload.len(),
    };
    if payload.len() > GREETING_BYTES_MAX as usize {
        return Err(malformed);
    }
    match kind {
        FrameKind::Hello => match Hello::decode_all(&mut payload) {
            Ok(hello) if hello.magic == MAGIC => Ok(Greeting::Hello(hello)),
            _ => Err(malformed),
        },
        FrameKind::Refusal => Refusal::decode_all(&mut payload)
            .map(Greeting::Refusal)
            .map_err(|_| malformed),
        FrameKind::Message(priority) => Err(WireError::Misplaced {
            kind: priority as u8,
        }),
    }
}

/// How a fetch was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FetchStatus {
    /// The response follows.
    Found = 0,
    /// The node does not have it or does not give it.
    Refused = 1,
    /// Too many fetches are being served; ask again later or elsewhere.
    Busy = 2,
    /// The response would be longer than the server gives.
    TooLarge = 3,
}

/// Decodes a fetch status.
///
/// # Errors
/// [`WireError::UnknownStatus`].
pub const fn decode_fetch_status(byte: u8) -> Result<FetchStatus, WireError> {
    match byte {
        0 => Ok(FetchStatus::Found),
        1 => Ok(FetchStatus::Refused),
        2 => Ok(FetchStatus::Busy),
        3 => Ok(FetchStatus::TooLarge),
        status => Err(WireError::UnknownStatus { status }),
    }
}

/// Decodes the length before a request or response and refuses it above `max`.
///
/// # Errors
/// [`WireError::TooLong`].
pub const fn decode_length(bytes: [u8; 4], max: u32) -> Result<u32, WireError> {
    let length = u32::from_le_bytes(bytes);
    if length > max {
        Err(WireError::TooLong { length, max })
    } else {
        Ok(length)
    }
}

/// Runs every decoder of this crate on `bytes`, as a stream would, and returns how many frames they
/// held. For fuzzing: it must neither panic nor allocate more than `bytes` holds.
#[must_use]
pub fn decode_any(mut bytes: &[u8], frame_bytes_max: u32) -> usize {
    let mut frames = 0;
    while let Some((header, rest)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() {
        let Ok(header) = decode_frame_header(*header, frame_bytes_max) else {
            break;
        };
        let Some((payload, rest)) = rest.split_at_checked(header.length as usize) else {
            break;
        };
        if !matches!(header.kind, FrameKind::Message(_))
            && decode_greeting(header.kind, payload).is_err()
        {
            break;
        }
        frames += 1;
        bytes = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(greeting: &Greeting) {
        let frame = greeting.to_frame();
        let (header, payload) = frame.split_first_chunk().expect("a frame has a header");
        let header =
            decode_frame_header(*header, 0).expect("a greeting is not bounded by the frame limit");
        assert_eq!(header.length as usize, payload.len());
        assert_eq!(decode_greeting(header.kind, payload).as_ref(), Ok(greeting));
        assert_eq!(decode_any(&frame, 0), 1);
    }

    #[test]
    fn greetings_decode_to_what_was_encoded() {
        round_trip(&Greeting::Hello(Hello::new([7; 32], [9; 16], 2)));
        for refusal in [
            Refusal::WrongNetwork {
                network_id: [1; 32],
            },
            Refusal::Version { version: 2 },
            Refusal::Duplicate,
            Refusal::Banned,
            Refusal::Class { class: 9 },
        ] {
            round_trip(&Greeting::Refusal(refusal));
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_and_one_at_it_is_not() {
        let header = |length| {
            encode_frame_header(FrameHeader {
                length,
                kind: FrameKind::Message(Priority::Bulk),
            })
        };
        assert!(decode_frame_header(header(100), 100).is_ok());
        assert_eq!(
            decode_frame_header(header(101), 100),
            Err(WireError::TooLong {
                length: 101,
                max: 100
            })
        );
        assert_eq!(
            decode_frame_header([0, 0, 0, 0, 3], 100),
            Err(WireError::UnknownKind { kind: 3 })
        );
    }

    #[test]
    fn a_hello_with_bytes_behind_or_another_magic_is_refused() {
        let mut payload = Hello::new([7; 32], [9; 16], 2).encode();
        payload.push(0);
        assert_eq!(
            decode_greeting(FrameKind::Hello, &payload),
            Err(WireError::Greeting {
                length: payload.len()
            })
        );
        payload.pop();
        payload[0] ^= 1;
        assert!(decode_greeting(FrameKind::Hello, &payload).is_err());
    }

    proptest! {
        #[test]
        fn decoders_are_total_and_canonical(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            header in any::<[u8; FRAME_HEADER_BYTES]>(),
            max in any::<u32>(),
        ) {
            prop_assert!(decode_any(&bytes, max) <= bytes.len() / FRAME_HEADER_BYTES);
            if let Ok(decoded) = decode_frame_header(header, max) {
                prop_assert_eq!(encode_frame_header(decoded), header);
            }
            for kind in [FrameKind::Hello, FrameKind::Refusal, FrameKind::Message(Priority::Bulk)] {
                if let Ok(greeting) = decode_greeting(kind, &bytes) {
                    prop_assert_eq!(&greeting.to_frame()[FRAME_HEADER_BYTES..], &bytes[..]);
                }
            }
            if let Some(&status) = bytes.first() {
                let _ = decode_fetch_status(status);
            }
        }

        #[test]
        fn a_spoilt_greeting_never_panics(at in 0usize..60, with in any::<u8>(), class in any::<u8>()) {
            let mut frame = Greeting::Hello(Hello::new([7; 32], [9; 16], class)).to_frame();
            let at = at % frame.len();
            frame[at] = with;
            prop_assert!(decode_any(&frame, 1 << 20) <= frame.len());
        }
    }

    #[test]
    fn fuzz_streams_of_frames() {
        frith_fuzz::harness!(|input: &[u8]| {
            let (frames, bytes) = frith_fuzz::allocated(|| decode_any(input, 1 << 20));
            assert!(frames <= input.len() / FRAME_HEADER_BYTES);
            assert!(
                bytes <= 4096,
                "frames of {} bytes held {bytes}",
                input.len()
            );
            let mut stream = Greeting::Hello(Hello::new([7; 32], [9; 16], 2)).to_frame();
            stream.extend(Greeting::Refusal(Refusal::Banned).to_frame());
            frith_fuzz::mutate(&mut stream, input);
            assert!(decode_any(&stream, 1 << 20) <= stream.len() / FRAME_HEADER_BYTES);
        });
    }

    #[test]
    fn fuzz_frame_headers() {
        frith_fuzz::harness!(|input: &[u8]| {
            let Some((header, rest)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
                return;
            };
            let max = u32::try_from(rest.len()).unwrap_or(0) << 8;
            if let Ok(decoded) = decode_frame_header(*header, max) {
                assert!(decoded.length <= max.max(GREETING_BYTES_MAX));
                assert_eq!(encode_frame_header(decoded), *header);
            }
            let length = [header[0], header[1], header[2], header[3]];
            if let Ok(length) = decode_length(length, max) {
                assert!(length <= max);
            }
            if let Ok(status) = decode_fetch_status(header[4]) {
                assert_eq!(status as u8, header[4]);
            }
        });
    }

    #[test]
    fn fuzz_greetings() {
        frith_fuzz::harness!(|input: &[u8]| {
            let refusal = |bytes: &[u8]| match decode_greeting(FrameKind::Refusal, bytes)? {
                Greeting::Refusal(refusal) => Ok(refusal),
                Greeting::Hello(_) => panic!("a refusal became a hello"),
            };
            frith_fuzz::codec::<Refusal, WireError>(input, GREETING_BYTES_MAX as usize, refusal);
            // The magic comes first; what follows it is anything.
            let hello = |bytes: &[u8]| decode_greeting(FrameKind::Hello, &[&MAGIC, bytes].concat());
            let body = |bytes: &[u8]| match hello(bytes)? {
                Greeting::Hello(h) => Ok((h.version, h.network_id, h.instance, h.class)),
                Greeting::Refusal(_) => panic!("a hello became a refusal"),
            };
            type Body = (u16, [u8; 32], [u8; 16], u8);
            frith_fuzz::codec::<Body, WireError>(input, GREETING_BYTES_MAX as usize, body);
            let message = FrameKind::Message(Priority::Bulk);
            assert!(decode_greeting(message, input).is_err());
        });
    }
}
