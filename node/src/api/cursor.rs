//! Places in lists, as answers name them and requests give them back.
//!
//! A cursor is opaque to who asks: the list that it belongs to and the last entry that was shown, in hexadecimal. It
//! holds nothing of the node, so it never expires, and every node understands it. What a list shows in order of something
//! that never changes is neither skipped nor repeated, whatever is committed between two pages.

use super::error::ApiError;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::units::Epoch;
use frith_tasks::runtime::Listed;
use parity_scale_codec::{Decode, Encode};

/// Bytes of an encoded cursor.
const CURSOR_BYTES_MAX: usize = 64;
/// Entries of a page, unless something else is said.
const ENTRIES: usize = 100;
/// Most entries of a page.
pub(super) const ENTRIES_MAX: usize = 1_000;

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) enum Cursor {
    /// After a task.
    Tasks {
        /// The epoch whose root records it.
        recorded: Epoch,
        /// Its address.
        address: Address,
    },
    /// In an account's history: what is in blocks below `height`, and of that block the entries before `index`.
    History {
        /// The block.
        height: u64,
        /// The entry.
        index: u32,
    },
}

impl Cursor {
    /// After this task.
    pub(super) const fn after(listed: &Listed) -> Self {
        Self::Tasks {
            recorded: listed.recorded(),
            address: listed.address(),
        }
    }

    /// As answers name it.
    pub(super) fn to_text(self) -> String {
        hex::encode(self.encode())
    }

    /// What a request gave back.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        // Nobody decodes more of it than a cursor may have.
        let bytes = (text.len() <= 2 * CURSOR_BYTES_MAX)
            .then(|| hex::decode(text).ok())
            .flatten();
        let cursor = bytes.and_then(|bytes| decode(&bytes, CURSOR_BYTES_MAX).ok());
        cursor.ok_or_else(|| {
            ApiError::malformed("the cursor is none that a node gave")
                .advise("say what an earlier answer of this list named as next, whole; or none, to begin with the newest")
        })
    }

    /// That it belongs to another list.
    pub(super) fn misplaced() -> ApiError {
        ApiError::malformed("the cursor is of another list")
            .advise("say what an earlier answer of this list named as next")
    }
}

/// How many entries a page has.
pub(super) fn entries(limit: Option<usize>) -> usize {
    limit.unwrap_or(ENTRIES).clamp(1, ENTRIES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_entries_as_are_asked_for_and_never_more_than_the_most() {
        let asked = [
            None,
            Some(0),
            Some(7),
            Some(1_000),
            Some(1_001),
            Some(usize::MAX),
        ];
        assert_eq!(asked.map(entries), [100, 1, 7, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn a_cursor_is_what_an_answer_named_and_nothing_else() {
        let cursors = [
            Cursor::Tasks {
                recorded: Epoch::new(7),
                address: Address([9; 32]),
            },
            Cursor::History {
                height: u64::MAX,
                index: 3,
            },
        ];
        for cursor in cursors {
            let text = cursor.to_text();
            assert_eq!(Cursor::parse(&text), Ok(cursor));
            for wrong in [
                format!("{text}00"),
                text[2..].to_owned(),
                text[..text.len() - 1].to_owned(),
                format!("ff{}", &text[2..]),
                text.replace(char::is_numeric, "x"),
            ] {
                let refused = Cursor::parse(&wrong).expect_err("no node gave it");
                assert!(refused.body.advice.is_some(), "{wrong}");
            }
        }
        for text in ["", "20.0", "-1", &"00".repeat(1 << 20)] {
            assert!(Cursor::parse(text).is_err());
        }
    }
}
