//! Slices of content: what is asked, what is answered, how it is checked.

use bao_tree::blake3;
use bao_tree::io::DecodeError;
use bao_tree::io::outboard::{EmptyOutboard, PreOrderOutboard};
use bao_tree::io::sync::{
    CreateOutboard as _, Outboard, OutboardMut, decode_ranges, encode_ranges,
};
use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedBytes;
use frith_ledger::entity::ContentId;
use frith_ledger::parameters::CONTENT_BYTES_MAX;
use parity_scale_codec::{Decode, Encode};

/// Bytes of a group: what is checked at once.
pub const GROUP_BYTES: u32 = 16 * 1024;
/// Most groups in one slice: 256 KiB.
pub const GROUPS_MAX: u32 = 16;
/// A group in chunks of BLAKE3, as a power of two.
const GROUP_LOG: u8 = 4;
/// BLAKE3's own chunks in a group.
const GROUP_CHUNKS: u64 = 1 << GROUP_LOG;
/// Most bytes of a slice: its groups, and fewer than 64 pairs of hashes that lead to them.
const SLICE_BYTES_MAX: usize = (GROUP_BYTES * GROUPS_MAX) as usize + 64 * 64;
/// How content is cut.
pub(super) const BLOCK: BlockSize = BlockSize::from_chunk_log(GROUP_LOG);

/// What a peer can fetch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FetchRequest {
    /// A slice of content.
    #[codec(index = 1)]
    Content {
        /// Which.
        id: ContentId,
        /// Its first group. Beyond the end: the last group, which proves the length.
        first: u32,
        /// How many groups, at most [`GROUPS_MAX`]; the slice ends with the content.
        count: u8,
    },
    /// What a task wrote to standard error where it was run: [`crate::service::logs`].
    #[codec(index = 2)]
    Logs {
        /// The task.
        task: Address,
    },
}

/// A slice of content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FetchResponse {
    /// Bytes of the whole.
    pub len: u32,
    /// Groups and the hashes that lead to them, in bao's order.
    pub slice: BoundedBytes<SLICE_BYTES_MAX>,
}

impl FetchResponse {
    /// Bytes of a longer encoding are no response.
    pub const BYTES_MAX: usize = SLICE_BYTES_MAX + 16;
}

/// Why a slice isn't one of the content.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// The peer's fault.
    #[error("its bytes are not the content's: {0}")]
    Bad(String),
    /// Nobody's provable fault: whoever named the content may have named a false length.
    #[error("it has {claimed} bytes by its source, and was to have {len}")]
    Length {
        /// What the source says.
        claimed: u32,
        /// What was asked for.
        len: u32,
    },
    /// What they are written to failed.
    #[error("cannot write what came: {0}")]
    Io(#[from] std::io::Error),
}

/// Groups of content with so many bytes; at least one.
#[must_use]
pub const fn groups_of(len: u32) -> u32 {
    let groups = len.div_ceil(GROUP_BYTES);
    if groups == 0 { 1 } else { groups }
}

pub(super) fn tree_of(len: u32) -> BaoTree {
    BaoTree::new(u64::from(len), BLOCK)
}

pub(super) fn ranges(len: u32, first: u32, count: u32) -> ChunkRanges {
    let end = u64::from(first.saturating_add(count).min(groups_of(len)));
    let chunks = ChunkNum(u64::from(first) * GROUP_CHUNKS)..ChunkNum(end * GROUP_CHUNKS);
    ChunkRanges::from(chunks)
}

/// Checks a slice group by group, and writes each group that holds. What was written before a bad one stays.
pub(super) fn take(
    slice: &[u8],
    (len, first, count): (u32, u32, u32),
    target: impl positioned::WriteAt,
    outboard: impl Outboard + OutboardMut,
) -> Result<(), SliceError> {
    let mut rest = slice;
    match decode_ranges(&mut rest, &ranges(len, first, count), target, outboard) {
        Ok(()) if rest.is_empty() => Ok(()),
        Ok(()) => Err(SliceError::Bad("something follows the slice".to_owned())),
        Err(DecodeError::Io(error)) => Err(SliceError::Io(error)),
        Err(error) => Err(SliceError::Bad(error.to_string())),
    }
}

/// The length of content, which an answer to the request for its last group proves.
///
/// # Errors
/// [`SliceError`]: the peer's fault.
pub fn length_of(id: &ContentId, response: &FetchResponse) -> Result<u32, SliceError> {
    let len = response.len;
    if len > CONTENT_BYTES_MAX {
        return Err(SliceError::Bad(format!("it claims {len} bytes")));
    }
    let outboard = EmptyOutboard {
        tree: tree_of(len),
        root: blake3::Hash::from_bytes(id.0),
    };
    // Nothing is kept: the group comes again with its slice.
    let nowhere = positioned::Nowhere;
    take(
        &response.slice,
        (len, groups_of(len) - 1, 1),
        nowhere,
        outboard,
    )?;
    Ok(len)
}

/// Content in memory, ready to be served in slices.
#[derive(Debug)]
pub struct Sliced {
    bytes: Vec<u8>,
    outboard: PreOrderOutboard<Vec<u8>>,
}

impl Sliced {
    /// Hashes the content: O(bytes). `None` when it isn't what its id says, or too long.
    #[must_use]
    pub fn new(id: &ContentId, bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() > CONTENT_BYTES_MAX as usize {
            return None;
        }
        let size = u64::try_from(bytes.len()).ok()?;
        let outboard = PreOrderOutboard::create_sized(&bytes[..], size, BLOCK).ok()?;
        (outboard.root.as_bytes() == &id.0).then_some(Self { bytes, outboard })
    }

    /// The slice that a request asks for; `None` when it asks for nothing or too much.
    #[must_use]
    pub fn slice(&self, first: u32, count: u8) -> Option<FetchResponse> {
        let len = u32::try_from(self.bytes.len()).ok()?;
        let count = u32::from(count);
        if count == 0 || count > GROUPS_MAX {
            return None;
        }
        let last = groups_of(len) - 1;
        let (first, count) = if first > last {
            (last, 1)
        } else {
            (first, count)
        };
        let mut slice = Vec::new();
        let ranges = ranges(len, first, count);
        encode_ranges(&self.bytes[..], &self.outboard, &ranges, &mut slice).ok()?;
        let slice = slice.try_into().ok()?;
        Some(FetchResponse { len, slice })
    }
}

/// Where groups are written.
pub(super) mod positioned {
    pub(crate) use bao_tree::io::sync::{ReadAt, WriteAt};

    /// Takes everything and keeps nothing.
    pub(crate) struct Nowhere;

    impl WriteAt for Nowhere {
        fn write_at(&mut self, _at: u64, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::codec::decode;
    use frith_ledger::hash::Hash;

    fn content(len: u32) -> (ContentId, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i / 7 % 251) as u8).collect();
        (Hash(*blake3::hash(&bytes).as_bytes()), bytes)
    }

    /// Puts all slices of `sliced` together.
    fn assembled(id: &ContentId, sliced: &Sliced, len: u32) -> Vec<u8> {
        let mut outboard = PreOrderOutboard {
            root: blake3::Hash::from_bytes(id.0),
            tree: tree_of(len),
            data: Vec::new(),
        };
        let mut bytes = Vec::new();
        for first in (0..groups_of(len)).step_by(GROUPS_MAX as usize) {
            let response = sliced.slice(first, GROUPS_MAX as u8).expect("it is there");
            let response: FetchResponse =
                decode(&response.encode(), FetchResponse::BYTES_MAX).expect("it decodes");
            let place = (len, first, GROUPS_MAX);
            take(&response.slice, place, &mut bytes, &mut outboard).expect("it holds");
        }
        bytes
    }

    #[test]
    fn slices_make_up_the_content_whatever_its_length() {
        for len in [0, 1, 1_000, GROUP_BYTES, GROUP_BYTES + 1, 700_001, 16 << 20] {
            let (id, bytes) = content(len);
            let sliced = Sliced::new(&id, bytes.clone()).expect("it is the content");
            assert_eq!(assembled(&id, &sliced, len), bytes, "{len}");
            let last = sliced.slice(u32::MAX, 1).expect("the last group");
            assert_eq!(length_of(&id, &last).ok(), Some(len));
        }
        let (id, bytes) = content(5);
        assert!(Sliced::new(&id, bytes[1..].to_vec()).is_none());
    }

    #[test]
    fn a_length_is_believed_only_with_the_last_group() {
        let (id, bytes) = content(700_001);
        let sliced = Sliced::new(&id, bytes).expect("it is the content");
        let honest = sliced.slice(u32::MAX, 1).expect("the last group");
        for len in [0, 1, 16_384, 655_360, 700_000, 700_002, 1 << 20, u32::MAX] {
            let forged = FetchResponse {
                len,
                ..honest.clone()
            };
            assert!(length_of(&id, &forged).is_err(), "{len}");
        }
        let earlier = sliced.slice(40, 1).expect("another group");
        assert!(length_of(&id, &earlier).is_err());
    }

    #[test]
    fn the_first_bad_group_is_found_and_those_before_it_are_kept() {
        let (id, bytes) = content(10 * GROUP_BYTES);
        let sliced = Sliced::new(&id, bytes.clone()).expect("it is the content");
        let mut response = sliced.slice(0, 10).expect("all of it");
        let middle = response.slice.len() / 2;
        response.slice.as_mut_slice()[middle] ^= 1;
        let mut outboard = PreOrderOutboard {
            root: blake3::Hash::from_bytes(id.0),
            tree: tree_of(10 * GROUP_BYTES),
            data: Vec::new(),
        };
        let mut taken = Vec::new();
        let place = (10 * GROUP_BYTES, 0, 10);
        let verdict = take(&response.slice, place, &mut taken, &mut outboard);
        assert!(matches!(verdict, Err(SliceError::Bad(_))));
        assert!(taken.len() >= 4 * GROUP_BYTES as usize && taken.len() < 7 * GROUP_BYTES as usize);
        assert_eq!(taken[..], bytes[..taken.len()]);
    }
}
