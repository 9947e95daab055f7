//! Parameters of a task: `key=value` words, typed when they are taken.
//!
//! Invariant: a parameter that the program does not know fails the task, since a misspelt one would silently buy the
//! wrong computation. So programs take what they know and then call [`Params::finish`].
//!
//! Limits: [`PARAMS_MAX`] parameters.

use crate::Failure;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most parameters that one task can have.
const PARAMS_MAX: usize = 256;

/// The parameters of a task that were not taken yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Params {
    /// Reads `key=value` words.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] for a word without `=`, an empty key, a key that occurs twice, or too many words.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, Failure> {
        let mut values = BTreeMap::new();
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return Err(Failure::parameter(word, "is not of the form key=value"));
            };
            let key = key.trim();
            if key.is_empty() {
                return Err(Failure::parameter(word, "has no name before the ="));
            }
            if values
                .insert(key.to_owned(), value.trim().to_owned())
                .is_some()
            {
                return Err(Failure::parameter(key, "is given twice"));
            }
            if values.len() > PARAMS_MAX {
                return Err(Failure::parameter(
                    key,
                    format_args!("is one more than {PARAMS_MAX}"),
                ));
            }
        }
        Ok(Self {
            values,
            known: Vec::new(),
        })
    }

    /// Reads one `key=value` a line, for parameters that come as input. Empty lines and lines that begin with `#` are
    /// skipped.
    ///
    /// # Errors
    ///
    /// As [`Params::parse`].
    pub fn parse_lines(text: &str) -> Result<Self, Failure> {
        Self::parse(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#')),
        )
    }

    /// These parameters, and those of `others` that are not among them.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (key, value) in others.values {
            self.values.entry(key).or_insert(value);
        }
        self
    }

    /// The value of `key`, or `default` if the task does not have it.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] if the value is not a `T`.
    pub fn take<T>(&mut self, key: &'static str, default: T) -> Result<T, Failure>
    where
        T: FromStr<Err: Display>,
    {
        Ok(self.take_optional(key)?.unwrap_or(default))
    }

    /// The value of `key`, or `default`; either way it must lie in `range`.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] if the value is not a `T` or lies outside.
    pub fn take_in<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, Failure>
    where
        T: FromStr<Err: Display> + PartialOrd + Display,
    {
        let value = self.take(key, default)?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(Failure::parameter(
            key,
            format_args!("{value} is not within {} to {}", range.start(), range.end()),
        ))
    }

    /// The value of `key`, which the task must have.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] if it is missing or not a `T`.
    pub fn require<T>(&mut self, key: &'static str) -> Result<T, Failure>
    where
        T: FromStr<Err: Display>,
    {
        self.take_optional(key)?
            .ok_or_else(|| Failure::parameter(key, "is missing"))
    }

    /// Ends the reading of parameters.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] if the task has one that was not taken; it lists those that the program knows.
    pub fn finish(self) -> Result<(), Failure> {
        let Some((key, _)) = self.values.into_iter().next() else {
            return Ok(());
        };
        let known = if self.known.is_empty() {
            "none".to_owned()
        } else {
            self.known.join(", ")
        };
        Err(Failure::parameter(
            key,
            format_args!("is not known; this program knows {known}"),
        ))
    }

    fn take_optional<T>(&mut self, key: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr<Err: Display>,
    {
        self.known.push(key);
        let Some(value) = self.values.remove(key) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => Err(Failure::parameter(key, format_args!("{value:?}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: std::fmt::Debug + PartialEq>(
        words: &[&str],
        read: impl FnOnce(&mut Params) -> Result<T, Failure>,
        expected: Result<T, &str>,
    ) {
        let got = Params::parse(words.iter().copied()).and_then(|mut params| {
            let value = read(&mut params)?;
            params.finish()?;
            Ok(value)
        });
        assert_eq!(
            got.map_err(|e| e.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn a_parameter_has_its_value_or_the_default() {
        check(&["n=5"], |p| p.take("n", 7u32), Ok(5));
        check(&[], |p| p.take("n", 7u32), Ok(7));
        check(&["s=a=b"], |p| p.require("s"), Ok("a=b".to_owned()));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_the_value() {
        check(
            &["n=five"],
            |p| p.take("n", 7u32),
            Err("parameter n: \"five\": invalid digit found in string"),
        );
    }

    #[test]
    fn a_value_outside_its_range_is_refused_with_the_range() {
        check(
            &["n=11"],
            |p| p.take_in("n", 7u32, 1..=10),
            Err("parameter n: 11 is not within 1 to 10"),
        );
    }

    #[test]
    fn a_parameter_that_must_be_there_must_be_there() {
        check(
            &[],
            |p| p.require::<u32>("n"),
            Err("parameter n: is missing"),
        );
    }

    #[test]
    fn an_unknown_parameter_fails_and_the_known_ones_are_named() {
        check(
            &["m=1"],
            |p| p.take("n", 7u32),
            Err("parameter m: is not known; this program knows n"),
        );
    }

    #[test]
    fn words_that_are_not_parameters_are_refused() {
        check(
            &["five"],
            |_| Ok(()),
            Err("parameter five: is not of the form key=value"),
        );
        check(
            &["=5"],
            |_| Ok(()),
            Err("parameter =5: has no name before the ="),
        );
        check(
            &["n=1", "n=1"],
            |_| Ok(()),
            Err("parameter n: is given twice"),
        );
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let words: Vec<String> = (0..=PARAMS_MAX).map(|i| format!("k{i}=")).collect();
        assert!(Params::parse(words.iter().map(String::as_str)).is_err());
        assert!(Params::parse(words.iter().skip(1).map(String::as_str)).is_ok());
    }

    #[test]
    fn the_first_of_two_sources_wins() {
        let arguments = Params::parse(["n=1"]).expect("is well formed");
        let input =
            Params::parse_lines("# from the input\n\nn = 2\n m = 3 \n").expect("is well formed");
        let mut both = arguments.or(input);
        assert_eq!(both.require::<u8>("n").expect("is given"), 1);
        assert_eq!(both.require::<u8>("m").expect("is given"), 3);
    }
}
