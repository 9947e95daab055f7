//! Where a passphrase comes from: the environment, a file that the environment names, or a question on the terminal. Never
//! the command line, which every process of the machine can read.
//!
//! The first of the three that is there decides; if it does not work, that is an error and not a reason to try the next, so
//! that a misspelt file name does not turn into a question that nobody answers.

use super::passphrase::{PASSPHRASE_BYTES_MAX, Passphrase, PassphraseError};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The two environment variables of a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variables {
    /// The one that holds the text.
    pub text: &'static str,
    /// The one that names a file that holds it.
    pub file: &'static str,
    /// Those that count when neither is set.
    pub fallback: Option<&'static Variables>,
}

impl Variables {
    /// These, and then those that count when these are not set.
    fn chain(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |variables| variables.fallback.copied())
    }
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fallback) = self.fallback {
            return write!(f, "{}, {}, {fallback}", self.text, self.file);
        }
        write!(f, "{} and {}", self.text, self.file)
    }
}

/// What unlocks a key file, or will unlock the one about to be written.
pub const UNLOCK: Variables = Variables {
    text: "FRITH_PASSPHRASE",
    file: "FRITH_PASSPHRASE_FILE",
    fallback: None,
};
/// What unlocks a worker's key file, where it differs from the account's: a machine that registers its own worker
/// unlocks both in one command.
pub const WORKER_UNLOCK: Variables = Variables {
    text: "FRITH_WORKER_PASSPHRASE",
    file: "FRITH_WORKER_PASSPHRASE_FILE",
    fallback: Some(&UNLOCK),
};
/// The phrase that an imported key is derived from.
pub const KEY_PHRASE: Variables = Variables {
    text: "FRITH_KEY_PHRASE",
    file: "FRITH_KEY_PHRASE_FILE",
    fallback: None,
};

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing to take it from.
    #[error(
        "no passphrase: {variables} are not set, and there is no terminal to ask on; set one of them, or run this on a terminal"
    )]
    Nowhere {
        /// What was looked for.
        variables: Variables,
    },
    /// A variable that is not UTF-8.
    #[error("{variable} is not UTF-8")]
    NotUnicode {
        /// Which one.
        variable: &'static str,
    },
    /// What was found can't be a passphrase.
    #[error("{origin}: {source}")]
    Unusable {
        /// Where it was found.
        origin: String,
        /// What is wrong with it.
        source: PassphraseError,
    },
    /// The file that a variable names can't be read.
    #[error("can't read {} (named by {variable}): {source}", file.display())]
    File {
        /// The variable.
        variable: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The terminal failed, or the user ended the input.
    #[error("no passphrase from the terminal ({variables} are not set): {source}")]
    Terminal {
        /// What could have been set.
        variables: Variables,
        /// What the system said.
        source: io::Error,
    },
    /// A new passphrase was typed in two ways.
    #[error("the two passphrases differ; nothing was changed")]
    Differ,
}

type Lookup = Box<dyn Fn(&str) -> Option<OsString>>;
type Ask = Box<dyn FnMut(&str) -> io::Result<String>>;

/// Where a passphrase comes from.
pub struct Source {
    variables: Variables,
    lookup: Lookup,
    ask: Option<Ask>,
}

impl Source {
    /// The environment of this process, and its terminal if standard input is one.
    pub fn of_process(variables: Variables) -> Self {
        let ask: Option<Ask> = io::stdin()
            .is_terminal()
            .then(|| Box::new(|prompt: &str| rpassword::prompt_password(prompt)) as Ask);
        Self {
            variables,
            lookup: Box::new(|name| std::env::var_os(name)),
            ask,
        }
    }

    /// The same without a terminal: for services, which nobody answers for.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.ask = None;
        self
    }

    /// A passphrase that exists; asked for once, with `prompt`.
    ///
    /// # Errors
    ///
    /// [`SourceError`] says where it was looked for.
    pub fn existing(&mut self, prompt: &str) -> Result<Passphrase, SourceError> {
        match self.unasked()? {
            Some(passphrase) => Ok(passphrase),
            None => self.asked(prompt),
        }
    }

    /// A new passphrase; asked for twice, with `prompt` and with `repeat`.
    ///
    /// # Errors
    ///
    /// [`SourceError`] says where it was looked for, or that the two differ.
    pub fn fresh(&mut self, prompt: &str, repeat: &str) -> Result<Passphrase, SourceError> {
        if let Some(passphrase) = self.unasked()? {
            return Ok(passphrase);
        }
        let first = self.asked(prompt)?;
        let second = self.asked(repeat)?;
        if first.normalised() == second.normalised() {
            Ok(first)
        } else {
            Err(SourceError::Differ)
        }
    }

    /// From the environment, or from the file that it names.
    fn unasked(&self) -> Result<Option<Passphrase>, SourceError> {
        for variables in self.variables.chain() {
            if let Some(passphrase) = self.named_by(variables)? {
                return Ok(Some(passphrase));
            }
        }
        Ok(None)
    }

    /// From these two variables.
    fn named_by(&self, variables: Variables) -> Result<Option<Passphrase>, SourceError> {
        let Variables { text, file, .. } = variables;
        if let Some(value) = (self.lookup)(text) {
            let value = value
                .into_string()
                .map_err(|_| SourceError::NotUnicode { variable: text })?;
            return usable(text.to_owned(), Zeroizing::new(value)).map(Some);
        }
        let Some(value) = (self.lookup)(file) else {
            return Ok(None);
        };
        let path = PathBuf::from(value);
        match read_line(&path) {
            Ok(line) => usable(path.display().to_string(), line).map(Some),
            Err(source) => Err(SourceError::File {
                variable: file,
                file: path,
                source,
            }),
        }
    }

    fn asked(&mut self, prompt: &str) -> Result<Passphrase, SourceError> {
        let variables = self.variables;
        let ask = self
            .ask
            .as_mut()
            .ok_or(SourceError::Nowhere { variables })?;
        let text = ask(prompt).map_err(|source| SourceError::Terminal { variables, source })?;
        usable("the terminal".to_owned(), Zeroizing::new(text))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("variables", &self.variables)
            .field("asks", &self.ask.is_some())
            .finish_non_exhaustive()
    }
}

fn usable(origin: String, text: Zeroizing<String>) -> Result<Passphrase, SourceError> {
    Passphrase::new(text).map_err(|source| SourceError::Unusable { origin, source })
}

/// The text of a file without what editors and `echo` add: a byte-order mark before it, a line break at its end.
fn read_line(path: &std::path::Path) -> io::Result<Zeroizing<String>> {
    // Room for the longest passphrase, a mark and a line break; one byte more shows that the file is longer.
    let limit = PASSPHRASE_BYTES_MAX + '\u{feff}'.len_utf8() + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    File::open(path)?
        .take(u64::try_from(limit).unwrap_or(u64::MAX))
        .read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    let text = crate::text::unmarked(text);
    let line = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Write as _;

    /// A source with these variables, and these answers on the terminal; no terminal if there are none.
    fn source(variables: &[(&str, &str)], answers: &[&str]) -> Source {
        let set: BTreeMap<String, OsString> = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.into()))
            .collect();
        let mut answers: Vec<String> = answers
            .iter()
            .rev()
            .map(|&answer| answer.to_owned())
            .collect();
        let ask = (!answers.is_empty()).then(|| {
            Box::new(move |_: &str| {
                answers
                    .pop()
                    .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }) as Ask
        });
        Source {
            variables: UNLOCK,
            lookup: Box::new(move |name| set.get(name).cloned()),
            ask,
        }
    }

    fn check(mut source: Source, expected: Result<&str, &str>) {
        let got = source
            .existing("Passphrase: ")
            .map(|passphrase| passphrase.as_str().to_owned());
        match (got.map_err(|e| e.to_string()), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("files can be made");
        file.write_all(content).expect("files can be written");
        file
    }

    #[test]
    fn the_environment_comes_before_the_file_and_the_file_before_the_terminal() {
        let file = file(b"from the file\n");
        let name = file.path().to_str().expect("is UTF-8");
        let text = ("FRITH_PASSPHRASE", "from the environment");
        let named = ("FRITH_PASSPHRASE_FILE", name);
        check(
            source(&[text, named], &["typed"]),
            Ok("from the environment"),
        );
        check(source(&[named], &["typed"]), Ok("from the file"));
        check(source(&[], &["typed"]), Ok("typed"));
    }

    #[test]
    fn a_workers_own_passphrase_comes_before_the_one_of_all_keys() {
        let of_worker = |variables: &[(&str, &str)]| Source {
            variables: WORKER_UNLOCK,
            ..source(variables, &[])
        };
        let (own, all) = (
            ("FRITH_WORKER_PASSPHRASE", "own"),
            ("FRITH_PASSPHRASE", "all"),
        );
        check(of_worker(&[own, all]), Ok("own"));
        check(of_worker(&[all]), Ok("all"));
        check(source(&[own], &["typed"]), Ok("typed"));
        let file = file(b"from the file\n");
        let name = file.path().to_str().expect("is UTF-8");
        let named = ("FRITH_WORKER_PASSPHRASE_FILE", name);
        check(of_worker(&[named, all]), Ok("from the file"));
        check(
            of_worker(&[]),
            Err(
                "FRITH_WORKER_PASSPHRASE, FRITH_WORKER_PASSPHRASE_FILE, FRITH_PASSPHRASE and FRITH_PASSPHRASE_FILE are not set",
            ),
        );
    }

    #[test]
    fn without_any_the_error_names_all() {
        check(
            source(&[], &[]),
            Err("FRITH_PASSPHRASE and FRITH_PASSPHRASE_FILE are not set, and there is no terminal"),
        );
        check(source(&[], &["typed"]).silent(), Err("no terminal"));
    }

    #[test]
    fn a_source_that_is_there_but_unusable_is_an_error() {
        check(
            source(&[("FRITH_PASSPHRASE", "")], &["typed"]),
            Err("FRITH_PASSPHRASE: the passphrase is empty"),
        );
        check(
            source(&[("FRITH_PASSPHRASE_FILE", "/nowhere/at/all")], &["typed"]),
            Err("can't read /nowhere/at/all (named by FRITH_PASSPHRASE_FILE)"),
        );
    }

    #[test]
    fn only_a_mark_before_it_and_the_last_line_break_of_a_file_are_dropped() {
        for (content, expected) in [
            (b"a b\r\n".as_slice(), Ok("a b")),
            (b" a\n\n", Ok(" a\n")),
            (b"a", Ok("a")),
            (b"\xef\xbb\xbfa b\n", Ok("a b")),
            (b"\xef\xbb\xbf\xef\xbb\xbfa", Ok("\u{feff}a")),
            (b"\xef\xbb\xbf\n", Err("the passphrase is empty")),
            (b"\n", Err("the passphrase is empty")),
            (b"\xff", Err("it is not UTF-8")),
            (&[b'x'; 5000], Err("longer than 1024 bytes")),
        ] {
            let file = file(content);
            check(
                source(
                    &[(
                        "FRITH_PASSPHRASE_FILE",
                        file.path().to_str().expect("is UTF-8"),
                    )],
                    &[],
                ),
                expected,
            );
        }
    }

    #[test]
    fn a_new_passphrase_is_typed_twice() {
        let fresh = |answers: &[&str]| {
            source(&[], answers)
                .fresh("New: ", "Again: ")
                .map(|passphrase| passphrase.as_str().to_owned())
        };
        assert!(matches!(fresh(&["one", "one"]), Ok(text) if text == "one"));
        assert!(matches!(fresh(&["one", "two"]), Err(SourceError::Differ)));
        assert!(matches!(fresh(&["one"]), Err(SourceError::Terminal { .. })));
        assert!(
            source(&[("FRITH_PASSPHRASE", "one")], &[])
                .fresh("New: ", "Again: ")
                .is_ok()
        );
    }
}
