//! A passphrase in memory: bounded, redacted, overwritten when dropped.

use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Longest passphrase, in bytes of UTF-8. Nobody types more; a file given by mistake has more.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// A passphrase that unlocks a key file.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Why a text can't be a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// Nothing is left once control codes are removed.
    #[error("the passphrase is empty")]
    Empty,
    /// More than [`PASSPHRASE_BYTES_MAX`] bytes.
    #[error("the passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes")]
    TooLong,
}

impl Passphrase {
    /// A passphrase as typed.
    ///
    /// # Errors
    ///
    /// [`PassphraseError`] if it is empty or too long.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        if text.len() > PASSPHRASE_BYTES_MAX {
            return Err(PassphraseError::TooLong);
        }
        if text.nfkd().all(is_control) {
            return Err(PassphraseError::Empty);
        }
        Ok(Self(text))
    }

    /// The passphrase as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What enters the key derivation, by EIP-2335: NFKD, without control codes, as UTF-8.
    pub(super) fn normalised(&self) -> Zeroizing<String> {
        let characters = || self.0.nfkd().filter(|&c| !is_control(c));
        // Allocated once: a string that grows leaves pieces of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(
            characters().map(char::len_utf8).sum(),
        ));
        text.extend(characters());
        text
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

/// C0, C1 and Delete, which EIP-2335 removes.
fn is_control(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Result<Passphrase, PassphraseError> {
        Passphrase::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_normal_form_is_that_of_the_eip() {
        let typed = passphrase("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑").expect("is a passphrase");
        assert_eq!(typed.normalised().as_str(), "testpassword🔑");
    }

    #[test]
    fn control_codes_are_removed_and_nothing_else() {
        let typed = passphrase("\ta\u{0}b c\u{7f}\u{80}\u{9f}\u{a0}d\n").expect("is a passphrase");
        // NFKD makes an ordinary space of the no-break space.
        assert_eq!(typed.normalised().as_str(), "ab c d");
    }

    #[test]
    fn one_passphrase_typed_in_two_ways_is_one() {
        let composed = passphrase("caf\u{e9}").expect("is a passphrase");
        let combined = passphrase("cafe\u{301}").expect("is a passphrase");
        assert_eq!(composed.normalised(), combined.normalised());
    }

    #[test]
    fn an_empty_or_endless_passphrase_is_refused() {
        assert_eq!(passphrase("\n\u{7f}").err(), Some(PassphraseError::Empty));
        assert_eq!(
            passphrase(&"x".repeat(1025)).err(),
            Some(PassphraseError::TooLong)
        );
        assert!(passphrase(&"x".repeat(1024)).is_ok());
    }

    #[test]
    fn a_passphrase_is_not_printed() {
        let shown = format!("{:?}", passphrase("secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
