//! Small files of text that are believed only when they are whole.
//!
//! The first line names the kind of file and has BLAKE3 of everything after it. A file is replaced in one step: afterwards,
//! also after a power failure, it has the old text or the new one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// A kind of file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What the first line begins with.
    pub(crate) head: &'static str,
    /// Longest file, in bytes.
    pub(crate) bytes_max: u64,
}

/// Why a file isn't believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none, it is no text, or the system refuses.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is longer than its kind can be.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// It is of another kind.
    #[error("it doesn't begin with {0:?}")]
    NoHead(&'static str),
    /// A part of it changed or is missing.
    #[error("its checksum doesn't hold")]
    Damaged,
}

impl Kind {
    /// Reads a file whole; [`Kind::body`] says what is in it.
    pub(crate) fn read(self, path: &Path) -> Result<String, Unusable> {
        let mut text = String::new();
        File::open(path)?
            .take(self.bytes_max + 1)
            .read_to_string(&mut text)?;
        Ok(text)
    }

    /// What stands behind the first line, if that is right about it.
    pub(crate) fn body(self, text: &str) -> Result<&str, Unusable> {
        if text.len() as u64 > self.bytes_max {
            return Err(Unusable::TooLong(self.bytes_max));
        }
        let no_head = || Unusable::NoHead(self.head);
        let (head, body) = text.split_once('\n').ok_or_else(no_head)?;
        let sum = head.strip_prefix(self.head).ok_or_else(no_head)?;
        if sum != blake3::hash(body.as_bytes()).to_hex().as_str() {
            return Err(Unusable::Damaged);
        }
        Ok(body)
    }

    /// `body` behind the first line that belongs to it.
    pub(crate) fn text(self, body: &str) -> String {
        let sum = blake3::hash(body.as_bytes()).to_hex();
        format!("{}{sum}\n{body}", self.head)
    }
}

/// Puts new text in a file's place, and makes its directory.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        head: "frith test 1 ",
        bytes_max: 200,
    };

    fn found(path: &Path) -> Result<String, Unusable> {
        let text = KIND.read(path)?;
        KIND.body(&text).map(str::to_owned)
    }

    #[test]
    fn a_file_is_believed_when_every_byte_is_there_and_as_it_was() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("made/on demand");
        replace(&path, &KIND.text("one\n")).expect("writes");
        replace(&path, &KIND.text("two\n")).expect("writes");
        assert_eq!(found(&path).expect("it is whole"), "two\n");
        let entries = std::fs::read_dir(path.parent().expect("a folder")).expect("is there");
        assert_eq!(entries.count(), 1, "nothing temporary is left");
        let text = KIND.text("two\n");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            std::fs::write(&path, changed).expect("writes");
            assert!(found(&path).is_err(), "byte {at} changed");
            std::fs::write(&path, &text[..at]).expect("writes");
            assert!(found(&path).is_err(), "cut at byte {at}");
        }
        std::fs::write(&path, KIND.text(&"long".repeat(100))).expect("writes");
        assert!(matches!(found(&path), Err(Unusable::TooLong(200))));
        std::fs::write(&path, [0xff; 4]).expect("writes");
        assert!(matches!(found(&path), Err(Unusable::Io(_))), "no text");
    }
}
