//! The rules that every decoder keeps, whatever it decodes.
//!
//! - *Total*: any bytes give a value or an error, never a panic.
//! - *Bounded*: memory at most [`MEMORY_BYTES_MIN`] and [`MEMORY_FACTOR`] times the input; the sender never chooses it.
//! - *Canonical*: what is accepted encodes to the bytes that were given.
//! - *Faithful*: what a value encodes to decodes to that value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode};

use crate::memory::allocated;
use crate::mutate::{damage_text, mutate};
use crate::values::value;

/// Memory that a decoder may hold for any input, in bytes: a list takes room for 64 items when its first arrives.
pub const MEMORY_BYTES_MIN: u64 = 256 * 1024;
/// Memory that a decoder may hold for each byte of input. Items of one byte can be some hundred bytes in memory, and
/// a list that grows holds them up to three times.
pub const MEMORY_FACTOR: u64 = 2048;

/// The bytes of an input that say how to damage; the rest is material.
const RECIPE_BYTES: usize = 16;

fn bounded<R>(len: usize, decode: impl FnOnce() -> R) -> R {
    let (result, bytes) = allocated(decode);
    let allowed = MEMORY_BYTES_MIN + MEMORY_FACTOR * len as u64;
    assert!(
        bytes <= allowed,
        "decoding {len} bytes held {bytes} bytes, {allowed} are allowed"
    );
    result
}

fn canonical<T: Encode, E>(bytes: &[u8], decode: &impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
    let value = bounded(bytes.len(), || decode(bytes)).ok()?;
    assert_eq!(value.encode(), bytes, "accepted, but not canonical");
    Some(value)
}

/// Checks the rules of a SCALE decoder that takes at most `bytes_max` bytes: on `input` itself, on a value grown from
/// it, and on that value's encoding with damage. Returns what was accepted, for further checks.
///
/// # Panics
/// When a rule is broken.
pub fn codec<T: Decode + Encode, E: Debug>(
    input: &[u8],
    bytes_max: usize,
    decode: impl Fn(&[u8]) -> Result<T, E>,
) -> Vec<T> {
    let mut accepted: Vec<T> = canonical(input, &decode).into_iter().collect();
    let (recipe, material) = input.split_at(input.len().min(RECIPE_BYTES));
    let Some(grown) = value::<T>(material) else {
        return accepted;
    };
    let mut bytes = grown.encode();
    if bytes.len() <= bytes_max {
        match decode(&bytes) {
            Ok(value) => assert_eq!(value.encode(), bytes, "a value became another"),
            Err(error) => panic!("a value's own encoding is refused: {error:?}"),
        }
        accepted.push(grown);
    }
    mutate(&mut bytes, recipe);
    accepted.extend(canonical(&bytes, &decode));
    accepted
}

/// Checks a decoder of JSON: on `input` as text, and on `examples`, valid texts, with damage. What is accepted must
/// survive being written and read again. Returns what was accepted.
///
/// # Panics
/// When a rule is broken.
pub fn json<T: serde::Serialize, E: Debug>(
    input: &[u8],
    examples: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let write = |value: &T| {
        serde_json::to_string(value).unwrap_or_else(|error| panic!("it can't be written: {error}"))
    };
    written(input, examples, parse, write)
}

/// Checks a parser of text whose values can be shown: as [`json`] does.
///
/// # Panics
/// When a rule is broken.
pub fn text<T: FromStr<Err: Debug> + Display>(input: &[u8], examples: &[String]) -> Vec<T> {
    written(input, examples, str::parse::<T>, ToString::to_string)
}

fn written<T, E: Debug>(
    input: &[u8],
    examples: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
    write: impl Fn(&T) -> String,
) -> Vec<T> {
    let mut texts = vec![String::from_utf8_lossy(input).into_owned()];
    let (recipe, rest) = input.split_at(input.len().min(RECIPE_BYTES));
    if let Some(example) = rest
        .first()
        .and_then(|which| examples.get(usize::from(*which) % examples.len().max(1)))
    {
        texts.push(example.clone());
        texts.push(damage_text(example, recipe));
    }
    let parsed = |text: &String| bounded(text.len(), || parse(text)).ok();
    let accepted: Vec<T> = texts.iter().filter_map(parsed).collect();
    for value in &accepted {
        let shown = write(value);
        match parse(&shown) {
            Ok(again) => assert_eq!(write(&again), shown, "a value became another"),
            Err(error) => panic!("what it shows is refused: {error:?}\n{shown}"),
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::{Compact, Error};

    use super::*;

    fn whole<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
        let mut rest = bytes;
        let value = T::decode(&mut rest)?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err("bytes left".into())
        }
    }

    fn material() -> Vec<u8> {
        (0..200).map(|i: u8| i.wrapping_mul(53)).collect()
    }

    #[test]
    fn a_sound_decoder_keeps_every_rule() {
        let accepted = codec(&material(), 1 << 20, whole::<(u32, Vec<u16>, Option<u64>)>);
        assert!(!accepted.is_empty());
        assert!(!json(b"[1, 2]", &[], |text| serde_json::from_str::<Vec<u8>>(text)).is_empty());
        assert!(!text::<u64>(b"17", &[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "not canonical")]
    fn a_decoder_that_leaves_bytes_is_found() {
        codec(&material(), 1 << 20, |mut bytes| u8::decode(&mut bytes));
    }

    #[test]
    #[should_panic(expected = "are allowed")]
    fn a_decoder_that_believes_a_length_is_found() {
        codec(&Compact(1_u32 << 29).encode(), 1 << 20, |mut bytes| {
            let count = Compact::<u32>::decode(&mut bytes)?.0 as usize;
            let room: Vec<u8> = Vec::with_capacity(count);
            std::hint::black_box(&room);
            Err::<u64, Error>("too short".into())
        });
    }

    #[test]
    #[should_panic(expected = "own encoding is refused")]
    fn a_decoder_that_refuses_what_it_writes_is_found() {
        codec(&material(), 1 << 20, |bytes| {
            whole::<u64>(bytes).and(Err::<u64, Error>("no".into()))
        });
    }
}
