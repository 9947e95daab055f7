//! A command's side of the socket.

use super::wire::{Described, Request, Response, frame, length, value};
use frith_ledger::operation::{Operation, OperationBody, SignedOperation};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Bytes of a socket's path: what Linux takes, and the zero at its end.
const PATH_BYTES_MAX: usize = 107;

/// What went wrong between a command and an agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The folder of the sockets is somebody else's, or open to others.
    #[error("{} must be a folder of this user that nobody else can enter (mode 0700)", dir.display())]
    Exposed {
        /// The folder.
        dir: PathBuf,
    },
    /// The socket's name is longer than the system takes.
    #[error("{} is too long for a socket: {len} bytes, at most {PATH_BYTES_MAX}; use a shorter --home", path.display())]
    TooLong {
        /// The socket.
        path: PathBuf,
        /// Its bytes.
        len: usize,
    },
    /// Reading, writing or waiting failed.
    #[error("the agent at {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It refused, or answered something else than it was asked.
    #[error("the agent at {} {what}", path.display())]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What it did.
        what: &'static str,
    },
}

/// Where the agent of a key listens.
#[must_use]
pub fn socket_path(home: &Path, key: &str) -> PathBuf {
    home.join("agent").join(format!("{key}.sock"))
}

/// The sockets in a home, sorted by name, with the names of their keys.
#[must_use]
pub fn all(home: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(home.join("agent")) else {
        return Vec::new();
    };
    let named = |entry: io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        let name = path
            .file_name()?
            .to_str()?
            .strip_suffix(".sock")?
            .to_owned();
        Some((name, path))
    };
    let mut found: Vec<_> = entries.filter_map(named).collect();
    found.sort();
    found
}

/// Makes the folder of a socket if it is missing, and checks that it is this user's alone.
pub(super) fn private_folder(socket: &Path) -> Result<(), AgentError> {
    let len = socket.as_os_str().len();
    if len > PATH_BYTES_MAX {
        return Err(AgentError::TooLong {
            path: socket.to_owned(),
            len,
        });
    }
    let dir = socket.parent().unwrap_or(Path::new("/"));
    let io = |source| AgentError::Io {
        path: socket.to_owned(),
        source,
    };
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    check_folder(dir).map_err(|found| {
        found.map_or_else(
            || AgentError::Exposed {
                dir: dir.to_owned(),
            },
            io,
        )
    })
}

/// `Err(None)`: it isn't private.
fn check_folder(dir: &Path) -> Result<(), Option<io::Error>> {
    let metadata = std::fs::symlink_metadata(dir).map_err(Some)?;
    let mine = metadata.uid() == rustix::process::geteuid().as_raw();
    if metadata.is_dir() && mine && metadata.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(None)
    }
}

/// An agent that answered once.
#[derive(Debug, Clone)]
pub struct Agent {
    path: PathBuf,
    /// What it said of itself.
    pub described: Described,
}

impl Agent {
    /// The agent that listens there; `None` if none does.
    ///
    /// # Errors
    /// The folder isn't private, or who listens doesn't answer as an agent.
    pub fn at(path: &Path) -> Result<Option<Self>, AgentError> {
        if !path.exists() {
            return Ok(None);
        }
        private_folder(path)?;
        match ask(path, &Request::Describe) {
            Ok(Response::Described(described)) => Ok(Some(Self {
                path: path.to_owned(),
                described,
            })),
            Ok(_) => Err(AgentError::Answer {
                path: path.to_owned(),
                what: "doesn't say what it holds",
            }),
            // It ended without removing its socket, or ends now.
            Err(AgentError::Io { source, .. }) if is_gone(&source) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Signs an operation of the agent's account; the signature is checked.
    ///
    /// # Errors
    /// The agent is gone, or signed with another key than the account's.
    pub fn sign(&self, body: OperationBody) -> Result<SignedOperation, AgentError> {
        let failed = |what| AgentError::Answer {
            path: self.path.clone(),
            what,
        };
        match ask(&self.path, &Request::Sign(Box::new(body.clone())))? {
            Response::Signed { key, signature } => {
                let genesis = body.genesis;
                let signed = SignedOperation {
                    body,
                    key,
                    signature,
                };
                Operation::Signed(signed.clone())
                    .verify(&genesis)
                    .map_err(|_| failed("gave a signature that doesn't hold"))?;
                Ok(signed)
            }
            Response::NotMine => Err(failed("holds another account's key")),
            Response::Described(_) | Response::Locked => {
                Err(failed("gave another answer than a signature"))
            }
        }
    }

    /// Tells it to forget the key and to end, and waits until it has.
    ///
    /// # Errors
    /// It doesn't answer, or doesn't end.
    pub fn lock(&self) -> Result<(), AgentError> {
        let io = |source| AgentError::Io {
            path: self.path.clone(),
            source,
        };
        match exchange(&self.path, &Request::Lock).map_err(io)? {
            (Response::Locked, mut stream) => match stream.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(AgentError::Answer {
                    path: self.path.clone(),
                    what: "said more than that it locks",
                }),
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) => Err(io(error)),
            },
            _ => Err(AgentError::Answer {
                path: self.path.clone(),
                what: "didn't say that it locks",
            }),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotFound
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
    )
}

fn ask(path: &Path, request: &Request) -> Result<Response, AgentError> {
    let answered = exchange(path, request).map_err(|source| AgentError::Io {
        path: path.to_owned(),
        source,
    });
    Ok(answered?.0)
}

/// The answer to a request, and the connection that it came on.
pub(super) fn exchange(path: &Path, request: &Request) -> io::Result<(Response, UnixStream)> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    stream.write_all(&frame(request))?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut bytes = vec![0; length(head)?];
    stream.read_exact(&mut bytes)?;
    Ok((value(&bytes)?, stream))
}
