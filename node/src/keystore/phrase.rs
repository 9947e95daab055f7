//! Phrases that keys are derived from: generated, or the user's own if they are hard to guess.
//!
//! A phrase is guessed offline: addresses are public, and the salt of the derivation is the same for all users, so that one
//! guess tries every account at once, forever. Hence the bound of 10¹⁴ guesses for a user's own phrase: at 0.4 s of one core
//! and 128 MiB each (scrypt 2^17, 8, 1) that is more than a million core-years; zxcvbn's highest score asks for 10¹⁰, which
//! is about a hundred, and within a rich attacker's means. A generated phrase has 2²⁵⁶.

use bip39::{Language, Mnemonic};
use std::fmt;
use zeroize::Zeroizing;

/// How many guesses, as a power of ten, a user's own phrase must withstand by zxcvbn's estimate.
pub const GUESSES_LOG10_MIN: u32 = 14;

/// Longest phrase, in bytes.
const PHRASE_BYTES_MAX: usize = 1024;
/// The numbers of words that BIP-39 knows.
const WORD_COUNTS: [usize; 5] = [12, 15, 18, 21, 24];
/// A list of so many words, all but this many of them from BIP-39's list, is taken for a mistyped BIP-39 phrase.
const MISTYPED_MAX: usize = 2;

/// What a key is derived from. Whoever has it has the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Zeroizing<String>);

/// What is asked of a user's own phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Hard to guess, and no mistyped BIP-39 phrase.
    Required,
    /// Anything: for keys that are worth nothing.
    WeakAllowed,
}

/// Why a phrase is refused. No part of the phrase is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Nothing but white space.
    #[error("the phrase is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the phrase is longer than {PHRASE_BYTES_MAX} bytes")]
    TooLong,
    /// Too easy to guess.
    #[error(
        "the phrase is too weak: about 10^{guesses_log10} guesses find it, and 10^{GUESSES_LOG10_MIN} are needed. {advice}"
    )]
    Weak {
        /// Guesses that find it, as a power of ten, rounded down.
        guesses_log10: u32,
        /// What would make it stronger.
        advice: String,
    },
    /// A BIP-39 phrase with a word that is not in the list.
    #[error("word {position} of the phrase is not in the BIP-39 list; look for a typing mistake")]
    UnknownWord {
        /// Which word, counted from 1.
        position: usize,
    },
    /// A BIP-39 phrase whose words don't belong together.
    #[error(
        "the words of the phrase are BIP-39 words, but their checksum is wrong; look for a wrong or misplaced word"
    )]
    Checksum,
    /// The system gives no randomness.
    #[error("no randomness for a phrase: {0}")]
    Randomness(getrandom::Error),
}

impl Phrase {
    /// A new phrase of 24 words from BIP-39's English list: 256 bits of the system's randomness.
    ///
    /// # Errors
    ///
    /// [`PhraseError::Randomness`] if the system has none.
    pub fn generate() -> Result<Self, PhraseError> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *entropy).map_err(PhraseError::Randomness)?;
        let mnemonic = Mnemonic::from_entropy(&*entropy).expect("32 bytes are a valid length");
        Ok(Self(join(mnemonic.words())))
    }

    /// A phrase that the user brings. A valid BIP-39 phrase of any length is strong, and is put into the form in which it was
    /// generated (lower case, single spaces). Any other is taken as it is, without the white space around it. Takes some
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`PhraseError`] if it is empty or too long; and unless `strength` allows weak ones, if it is too easy to guess or a
    /// mistyped BIP-39 phrase.
    pub fn own(text: &str, strength: Strength) -> Result<Self, PhraseError> {
        if text.len() > PHRASE_BYTES_MAX {
            return Err(PhraseError::TooLong);
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(PhraseError::Empty);
        }
        match (as_mnemonic(text), strength) {
            (Ok(Some(phrase)), _) => Ok(phrase),
            (Err(error), Strength::Required) => Err(error),
            (Ok(None), Strength::Required) => {
                check_strength(text)?;
                Ok(Self(Zeroizing::new(text.to_owned())))
            }
            (Ok(None) | Err(_), Strength::WeakAllowed) => Ok(Self(Zeroizing::new(text.to_owned()))),
        }
    }

    /// The phrase, to derive from or to show once to the one who must write it down.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(redacted)")
    }
}

/// `text` as a BIP-39 phrase; `None` if it is not meant as one.
fn as_mnemonic(text: &str) -> Result<Option<Phrase>, PhraseError> {
    let lower = Zeroizing::new(text.to_lowercase());
    let words: Vec<&str> = lower.split_whitespace().collect();
    let mut unknown = words
        .iter()
        .enumerate()
        .filter(|(_, word)| Language::English.find_word(word).is_none());
    let (first_unknown, others) = (unknown.next(), unknown.count());
    if !WORD_COUNTS.contains(&words.len()) || others >= MISTYPED_MAX {
        return Ok(None);
    }
    if let Some((index, _)) = first_unknown {
        return Err(PhraseError::UnknownWord {
            position: index + 1,
        });
    }
    let phrase = join(words.iter().copied());
    match Mnemonic::parse_in_normalized(Language::English, &phrase) {
        Ok(_) => Ok(Some(Phrase(phrase))),
        Err(_) => Err(PhraseError::Checksum),
    }
}

fn join<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Zeroizing<String> {
    // Allocated once: a string that grows leaves pieces of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(
        words.clone().map(|word| word.len() + 1).sum(),
    ));
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Guesses for each word of a phrase, as a hundredth of a power of ten: a list of 7776 words, as those for dice have.
const WORD_GUESSES_LOG10_HUNDREDTHS: u32 = 389;

fn check_strength(text: &str) -> Result<(), PhraseError> {
    // What everyone has read about is no secret.
    let estimate = zxcvbn::zxcvbn(text, &["frith", "correct horse battery staple"]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a power of ten from 0 to 20, rounded down"
    )]
    let by_patterns = estimate.guesses_log10().max(0.0) as u32;
    let guesses_log10 = by_patterns.min(guesses_by_words(text).unwrap_or(u32::MAX));
    if guesses_log10 >= GUESSES_LOG10_MIN {
        return Ok(());
    }
    let mut advice: Vec<String> = Vec::new();
    if let Some(feedback) = estimate.feedback() {
        advice.extend(feedback.warning().map(|warning| warning.to_string()));
        advice.extend(feedback.suggestions().iter().map(ToString::to_string));
    }
    if advice.is_empty() {
        advice.push(
            "Add some words that don't belong together, or let frith generate a phrase.".to_owned(),
        );
    }
    Err(PhraseError::Weak {
        guesses_log10,
        advice: advice.join(" "),
    })
}

/// What guessing word by word takes, as a power of ten; `None` unless the phrase is several words and nothing else. zxcvbn
/// knows the commonest words only, and takes the others for random letters.
fn guesses_by_words(text: &str) -> Option<u32> {
    let plain = |word: &str| word.chars().all(|c| c.is_alphabetic() || c == '\'');
    let words = text.split_whitespace().count();
    if words < 2 || !text.split_whitespace().all(plain) {
        return None;
    }
    Some(
        u32::try_from(words)
            .unwrap_or(u32::MAX)
            .saturating_mul(WORD_GUESSES_LOG10_HUNDREDTHS)
            / 100,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIP-39's own vectors: 128 zero bits, and 256 one bits.
    const ZEROS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    const ONES: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote";

    fn check(text: &str, strength: Strength, expected: Result<&str, PhraseError>) {
        let got = Phrase::own(text, strength).map(|phrase| phrase.as_str().to_owned());
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
    }

    fn weak(text: &str) -> u32 {
        match Phrase::own(text, Strength::Required) {
            Err(PhraseError::Weak {
                guesses_log10,
                advice,
            }) => {
                assert!(!advice.is_empty());
                guesses_log10
            }
            other => panic!("{text:?} should be weak, not {other:?}"),
        }
    }

    #[test]
    fn a_generated_phrase_has_24_words_and_is_accepted_as_typed() -> Result<(), PhraseError> {
        let phrase = Phrase::generate()?;
        assert_eq!(phrase.as_str().split(' ').count(), 24);
        assert_eq!(Phrase::own(phrase.as_str(), Strength::Required)?, phrase);
        assert_ne!(Phrase::generate()?, phrase);
        Ok(())
    }

    #[test]
    fn a_bip39_phrase_is_one_phrase_however_it_is_typed() {
        check(ZEROS, Strength::Required, Ok(ZEROS));
        let typed = format!("  {}\n", ONES.to_uppercase().replace(' ', "  "));
        check(&typed, Strength::Required, Ok(ONES));
        check(&typed, Strength::WeakAllowed, Ok(ONES));
    }

    #[test]
    fn a_mistyped_bip39_phrase_is_refused_with_the_place() {
        let position = |position| Err(PhraseError::UnknownWord { position });
        check(
            &ZEROS.replace("about", "abuot"),
            Strength::Required,
            position(12),
        );
        check(
            &ZEROS.replacen("abandon", "abandom", 2),
            Strength::Required,
            position(1),
        );
        check(
            &ZEROS.replace("about", "zoo"),
            Strength::Required,
            Err(PhraseError::Checksum),
        );
    }

    #[test]
    fn weak_phrases_are_refused_with_an_estimate() {
        for text in [
            "password",
            "frith",
            "Tr0ub4dour&3",
            "qwertyuiop1990",
            "abandon abandon abandon",
        ] {
            assert!(weak(text) < GUESSES_LOG10_MIN);
        }
    }

    #[test]
    fn words_count_as_words_and_not_as_letters() {
        assert_eq!(weak("plover anvil mustard"), 11);
        assert!(weak("correct horse battery staple") < GUESSES_LOG10_MIN);
        check(
            "plover anvil mustard quartz",
            Strength::Required,
            Ok("plover anvil mustard quartz"),
        );
    }

    #[test]
    fn strong_phrases_of_ones_own_are_taken_as_they_are() {
        for text in [
            "Seven wet herons argue about Moldova's jam",
            "vN7#pQ2!xZ9$kL4&",
            "дрозд пишет сонеты зимой",
        ] {
            check(&format!(" {text} "), Strength::Required, Ok(text));
        }
    }

    #[test]
    fn weak_phrases_are_taken_when_that_is_allowed() {
        check("password", Strength::WeakAllowed, Ok("password"));
        let mistyped = ZEROS.replace("about", "zoo");
        check(&mistyped, Strength::WeakAllowed, Ok(&mistyped));
    }

    #[test]
    fn empty_and_endless_phrases_are_refused_always() {
        for strength in [Strength::Required, Strength::WeakAllowed] {
            check(" \n", strength, Err(PhraseError::Empty));
            check(&"x".repeat(1025), strength, Err(PhraseError::TooLong));
        }
    }

    #[test]
    fn a_phrase_is_not_printed() {
        assert_eq!(
            format!("{:?}", Phrase::own(ZEROS, Strength::Required)),
            "Ok(Phrase(redacted))"
        );
    }
}
