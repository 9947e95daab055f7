//! A key file on disk.
//!
//! Writing: a temporary file in the same folder, readable by its owner alone from the start; written, synced, then renamed to
//! its name in one step that fails if the name is taken; then the folder is synced. So a crash leaves either no key file or a
//! complete one, and at worst a temporary file beside it.

use super::format::{FILE_BYTES_MAX, FormatError, Keystore, OpenError};
use super::passphrase::Passphrase;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Whether writing a key file may replace one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Fail if there is one.
    No,
    /// Replace it; the key in it is lost unless it stands elsewhere.
    Yes,
}

/// A key file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    keystore: Keystore,
}

/// What went wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing has this name.
    #[error("there is no key file {}", file.display())]
    NotFound {
        /// The name.
        file: PathBuf,
    },
    /// The name is a symbolic link; following it would read or replace a file somewhere else.
    #[error("{} is a symbolic link; name the key file itself", file.display())]
    Symlink {
        /// The name.
        file: PathBuf,
    },
    /// A folder, a device, a pipe or a socket.
    #[error("{} is not a file", file.display())]
    NotAFile {
        /// The name.
        file: PathBuf,
    },
    /// The name is taken.
    #[error("{} exists already; a key file is not replaced unless you ask for it, since its key would be lost", file.display())]
    Exists {
        /// The name.
        file: PathBuf,
    },
    /// The content is not a key file's.
    #[error("{} can't be used: {source}", file.display())]
    Format {
        /// The name.
        file: PathBuf,
        /// What is wrong with the content.
        source: FormatError,
    },
    /// The passphrase is not the file's.
    #[error("wrong passphrase for {}", file.display())]
    WrongPassphrase {
        /// The name.
        file: PathBuf,
    },
    /// The passphrase is not the file's, or the file is damaged; a file of another program doesn't tell.
    #[error("wrong passphrase for {}, or the file is damaged", file.display())]
    WrongPassphraseOrDamaged {
        /// The name.
        file: PathBuf,
    },
    /// The system refused.
    #[error("can't {action} {}: {source}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    fn io(action: &'static str, file: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            file: file.to_owned(),
            source,
        }
    }
}

impl KeyFile {
    /// Reads the key file `path`. Warns in the log if others than its owner can read it.
    ///
    /// # Errors
    ///
    /// [`FileError`] if there is none, it can't be read, or it is no key file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        let metadata = file
            .metadata()
            .map_err(|e| FileError::io("examine", path, e))?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile {
                file: path.to_owned(),
            });
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let (file, mode) = (path.display(), format!("{mode:o}"));
            tracing::warn!(%file, mode, "others can read this key file; chmod 600 it");
        }
        let mut bytes = Vec::new();
        // One byte more than allowed tells a full file from one that is too long.
        let limit = u64::try_from(FILE_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(|e| FileError::io("read", path, e))?;
        let keystore = Keystore::from_json(&String::from_utf8_lossy(&bytes)).map_err(|source| {
            FileError::Format {
                file: path.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            keystore,
        })
    }

    /// Writes `keystore` to `path`, durably: when this returns, the file survives a crash.
    ///
    /// # Errors
    ///
    /// [`FileError::Exists`] if the name is taken and `overwrite` says no, [`FileError::Symlink`] and
    /// [`FileError::NotAFile`] if what has the name is not a file, [`FileError::Io`] if the system refuses.
    pub fn write(path: &Path, keystore: Keystore, overwrite: Overwrite) -> Result<Self, FileError> {
        check_free(path, overwrite)?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut temporary = tempfile::Builder::new()
            .prefix(".key-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(|e| FileError::io("create a file in", folder, e))?;
        temporary
            .write_all(keystore.to_json().as_bytes())
            .and_then(|()| temporary.as_file().sync_all())
            .map_err(|e| FileError::io("write", temporary.path(), e))?;
        let persisted = match overwrite {
            Overwrite::No => temporary.persist_noclobber(path),
            Overwrite::Yes => temporary.persist(path),
        };
        persisted.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists {
                file: path.to_owned(),
            },
            _ => FileError::io("create", path, e.error),
        })?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| FileError::io("sync the folder", folder, e))?;
        Ok(Self {
            path: path.to_owned(),
            keystore,
        })
    }

    /// Decrypts the secret. Runs scrypt once. Whoever uses the secret compares the address that it leads to with the label's.
    ///
    /// # Errors
    ///
    /// [`FileError::WrongPassphrase`]; for a file that another program wrote, [`FileError::WrongPassphraseOrDamaged`].
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, FileError> {
        self.keystore.open(passphrase).map_err(|error| match error {
            OpenError::WrongPassphrase => FileError::WrongPassphrase {
                file: self.path.clone(),
            },
            OpenError::WrongPassphraseOrDamaged => FileError::WrongPassphraseOrDamaged {
                file: self.path.clone(),
            },
        })
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it.
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }
}

/// Opens the file without following a link and without waiting for the other end of a pipe.
fn open(path: &Path) -> Result<File, FileError> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = || path.to_owned();
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(Errno::NOENT) => Err(FileError::NotFound { file: file() }),
        Err(Errno::LOOP) => Err(FileError::Symlink { file: file() }),
        // What opening a socket gives.
        Err(Errno::NXIO) => Err(FileError::NotAFile { file: file() }),
        Err(error) => Err(FileError::io("open", path, error.into())),
    }
}

/// Says early and in words why `path` can't be written. The rename decides: it never follows a link or replaces a folder.
fn check_free(path: &Path, overwrite: Overwrite) -> Result<(), FileError> {
    let file = path.to_owned();
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::io("examine", path, error)),
        Ok(metadata) if metadata.is_symlink() => Err(FileError::Symlink { file }),
        Ok(metadata) if !metadata.is_file() => Err(FileError::NotAFile { file }),
        Ok(_) if overwrite == Overwrite::No => Err(FileError::Exists { file }),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cost, Kind, Label};
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).expect("is a passphrase")
    }

    fn keystore(seed: u8) -> Keystore {
        let label = Label {
            kind: Kind::Worker,
            security_level: 17,
            address: "frith1test".to_owned(),
            account: None,
        };
        Keystore::seal(&[seed; 32], &passphrase("open"), label, "", Cost::CHEAP)
            .expect("has randomness")
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("the system has a folder for temporary files")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("is a folder");
        entries
            .map(|entry| {
                entry
                    .expect("is read")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn a_written_key_file_reads_and_unlocks() -> Result<(), FileError> {
        let folder = folder();
        let path = folder.path().join("key.json");
        let written = KeyFile::write(&path, keystore(7), Overwrite::No)?;
        let read = KeyFile::read(&path)?;
        assert_eq!(read, written);
        assert_eq!(*read.unlock(&passphrase("open"))?, [7; 32]);
        assert_eq!(names(folder.path()), ["key.json"]);
        Ok(())
    }

    #[test]
    fn only_the_owner_can_read_a_key_file() -> Result<(), FileError> {
        let folder = folder();
        let path = folder.path().join("key.json");
        for overwrite in [Overwrite::No, Overwrite::Yes] {
            KeyFile::write(&path, keystore(7), overwrite)?;
            let mode = fs::metadata(&path)
                .expect("was written")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        Ok(())
    }

    #[test]
    fn a_wrong_passphrase_names_the_file() -> Result<(), FileError> {
        let folder = folder();
        let path = folder.path().join("key.json");
        let written = KeyFile::write(&path, keystore(7), Overwrite::No)?;
        let error = written
            .unlock(&passphrase("shut"))
            .expect_err("the passphrase is wrong");
        assert_eq!(
            error.to_string(),
            format!("wrong passphrase for {}", path.display())
        );
        Ok(())
    }

    #[test]
    fn a_key_file_is_replaced_only_when_asked() -> Result<(), FileError> {
        let folder = folder();
        let path = folder.path().join("key.json");
        KeyFile::write(&path, keystore(1), Overwrite::No)?;
        let refused = KeyFile::write(&path, keystore(2), Overwrite::No);
        assert!(matches!(refused, Err(FileError::Exists { .. })));
        assert_eq!(*KeyFile::read(&path)?.unlock(&passphrase("open"))?, [1; 32]);
        KeyFile::write(&path, keystore(2), Overwrite::Yes)?;
        assert_eq!(*KeyFile::read(&path)?.unlock(&passphrase("open"))?, [2; 32]);
        assert_eq!(names(folder.path()), ["key.json"]);
        Ok(())
    }

    #[test]
    fn links_are_neither_read_nor_replaced() -> Result<(), FileError> {
        let folder = folder();
        let (target, link) = (
            folder.path().join("target.json"),
            folder.path().join("link.json"),
        );
        KeyFile::write(&target, keystore(1), Overwrite::No)?;
        symlink(&target, &link).expect("links can be made");
        assert!(matches!(
            KeyFile::read(&link),
            Err(FileError::Symlink { .. })
        ));
        for overwrite in [Overwrite::No, Overwrite::Yes] {
            let refused = KeyFile::write(&link, keystore(2), overwrite);
            assert!(matches!(refused, Err(FileError::Symlink { .. })));
        }
        assert!(KeyFile::read(&target).is_ok());
        Ok(())
    }

    #[test]
    fn a_folder_is_no_key_file() {
        let folder = folder();
        assert!(matches!(
            KeyFile::read(folder.path()),
            Err(FileError::NotAFile { .. })
        ));
        for overwrite in [Overwrite::No, Overwrite::Yes] {
            let refused = KeyFile::write(folder.path(), keystore(1), overwrite);
            assert!(matches!(refused, Err(FileError::NotAFile { .. })));
        }
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = folder();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .expect("pipes can be made");
        assert!(matches!(
            KeyFile::read(&path),
            Err(FileError::NotAFile { .. })
        ));
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = folder();
        let path = folder.path().join("none").join("key.json");
        let error = KeyFile::read(&path).expect_err("is missing");
        assert_eq!(
            error.to_string(),
            format!("there is no key file {}", path.display())
        );
        let error =
            KeyFile::write(&path, keystore(1), Overwrite::No).expect_err("the folder is missing");
        assert!(
            error.to_string().starts_with("can't create a file in"),
            "{error}"
        );
    }

    #[test]
    fn damaged_and_endless_files_are_told_from_a_wrong_passphrase() -> Result<(), FileError> {
        let folder = folder();
        let path = folder.path().join("key.json");
        KeyFile::write(&path, keystore(1), Overwrite::No)?;
        let whole = fs::read(&path).expect("was written");
        for content in [
            &whole[..whole.len() / 2],
            b"\xff\xfe",
            &vec![b' '; FILE_BYTES_MAX + 1],
        ] {
            fs::write(&path, content).expect("can be written");
            assert!(matches!(
                KeyFile::read(&path),
                Err(FileError::Format { .. })
            ));
        }
        Ok(())
    }
}
