//! The beginning and the end of what a program wrote to standard error.

use std::collections::VecDeque;

use parity_scale_codec::{Decode, Encode};

/// Bytes that are kept of the beginning, and as many of the end.
pub const EXCERPT_PART_BYTES: usize = 64 << 10;

/// The beginning and the end of a text, and how much between them was left out: a program that fails says why last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Excerpt {
    head: Vec<u8>,
    left_out: u64,
    tail: Vec<u8>,
}

impl Excerpt {
    /// The beginning, at most [`EXCERPT_PART_BYTES`].
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// How many bytes were left out after the beginning.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The end, at most [`EXCERPT_PART_BYTES`]; empty while the beginning has room.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Bytes that are kept.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether some text has this excerpt: what a stranger sends need not be one.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        let (head, tail) = (self.head.len(), self.tail.len());
        head <= EXCERPT_PART_BYTES
            && tail <= EXCERPT_PART_BYTES
            && (tail == 0 || head == EXCERPT_PART_BYTES)
            && (self.left_out == 0 || tail == EXCERPT_PART_BYTES)
    }
}

impl From<&[u8]> for Excerpt {
    fn from(text: &[u8]) -> Self {
        let mut growing = Growing::default();
        growing.push(text);
        growing.into()
    }
}

/// An excerpt that is being written.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    head: Vec<u8>,
    left_out: u64,
    tail: VecDeque<u8>,
}

impl Growing {
    /// Takes what comes next. Cost: the bytes, at most the tail's.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = EXCERPT_PART_BYTES - self.head.len();
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        let (passed, last) = rest.split_at(rest.len().saturating_sub(EXCERPT_PART_BYTES));
        let over = (self.tail.len() + last.len()).saturating_sub(EXCERPT_PART_BYTES);
        self.tail.drain(..over);
        self.tail.extend(last);
        self.left_out = self.left_out.saturating_add((passed.len() + over) as u64);
    }
}

impl From<Growing> for Excerpt {
    fn from(growing: Growing) -> Self {
        Self {
            head: growing.head,
            left_out: growing.left_out,
            tail: growing.tail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: usize = EXCERPT_PART_BYTES;

    /// Bytes whose place can be told from them.
    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn beginning_and_end_are_kept_however_it_is_written() {
        for len in [0, 1, PART, PART + 1, 2 * PART, 2 * PART + 1, 5 * PART + 7] {
            let text = text(len);
            let whole = Excerpt::from(&text[..]);
            for piece in [1, 7, 4096, PART, 3 * PART] {
                let mut growing = Growing::default();
                text.chunks(piece).for_each(|bytes| growing.push(bytes));
                assert_eq!(Excerpt::from(growing), whole, "{len} in pieces of {piece}");
            }
            assert!(whole.is_possible());
            assert_eq!(whole.head(), &text[..len.min(PART)]);
            assert_eq!(
                whole.tail(),
                &text[len.saturating_sub(PART).max(PART.min(len))..]
            );
            assert_eq!(whole.kept() as u64 + whole.left_out(), len as u64);
        }
    }

    #[test]
    fn what_no_text_has_is_not_possible() {
        let check = |head: usize, left_out, tail: usize, expected| {
            let excerpt = Excerpt {
                head: vec![0; head],
                left_out,
                tail: vec![0; tail],
            };
            assert_eq!(excerpt.is_possible(), expected, "{head} {left_out} {tail}");
        };
        check(0, 0, 0, true);
        check(PART, u64::MAX, PART, true);
        check(PART + 1, 0, 0, false);
        check(PART, 0, PART + 1, false);
        check(PART - 1, 0, 1, false);
        check(PART, 1, PART - 1, false);
    }
}
