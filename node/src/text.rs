//! Texts that people write with editors of their own.

use std::io;
use std::path::Path;

/// A text without the byte-order mark that some editors put before it.
#[must_use]
pub(crate) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The text of a file, without a byte-order mark.
///
/// # Errors
/// The file can't be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(unmarked(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_taken_away_at_the_beginning_and_nowhere_else() {
        assert_eq!(unmarked("\u{feff}a"), "a");
        assert_eq!(unmarked("a\u{feff}"), "a\u{feff}");
        assert_eq!(unmarked("\u{feff}\u{feff}"), "\u{feff}");
        assert_eq!(unmarked(""), "");
    }
}
