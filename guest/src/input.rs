//! Reading the whole input, up to a bound that the program chooses.

use crate::Failure;
use std::io::Read;

/// Reads `source` to its end; fails if more than `bytes_max` bytes come.
pub(crate) fn read_bounded(source: &mut dyn Read, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full input from one that is too long.
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    source
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(Failure::input)?;
    if bytes.len() > bytes_max {
        return Err(Failure::InputTooLong { bytes_max });
    }
    Ok(bytes)
}

/// The bytes as text; the error says where they stop being UTF-8.
pub(crate) fn into_text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|e| {
        Failure::input(format_args!(
            "not UTF-8 from byte {}",
            e.utf8_error().valid_up_to()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], bytes_max: usize, expected: Result<&str, &str>) {
        let got = read_bounded(&mut &*input, bytes_max).and_then(into_text);
        assert_eq!(
            got.map_err(|e| e.to_string()),
            expected.map(str::to_owned).map_err(str::to_owned)
        );
    }

    #[test]
    fn an_input_as_long_as_allowed_is_read() {
        check(b"four", 4, Ok("four"));
        check(b"", 0, Ok(""));
    }

    #[test]
    fn an_input_one_byte_too_long_is_refused() {
        check(b"five!", 4, Err("the input is longer than 4 bytes"));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_place() {
        check(b"ab\xff", 10, Err("input: not UTF-8 from byte 2"));
    }
}
