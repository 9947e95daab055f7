//! Starting the agent, and the agent's whole life.

use super::client::{Agent, AgentError, private_folder};
use super::server::{Held, serve};
use frith_ledger::address::Address;
use frith_ledger::key::SecretKey;
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Arguments that make this program an agent.
const ARGUMENTS: [&str; 2] = ["key", "agent"];
/// What it says when it listens.
const READY: &str = "ready";
/// Bytes that are handed over beside the socket's path.
const FIXED: usize = 32 + 32 + 8;
/// Bytes of what it says before it is ready: an error's words.
const WORDS_MAX: u64 = 4096;

/// What an agent is started with.
pub struct Hand {
    /// Where it listens.
    pub socket: PathBuf,
    /// How long it holds the key.
    pub time: Duration,
    /// The account's key in force.
    pub key: SecretKey,
    /// The account.
    pub account: Address,
}

/// How starting an agent failed.
pub type Started = Result<Agent, AgentError>;

/// Starts an agent in a process of its own and waits until it listens. One that listens there already is replaced.
///
/// # Errors
/// [`AgentError`]: the folder, or what the agent said.
pub fn start(program: &Path, hand: &Hand) -> Started {
    private_folder(&hand.socket)?;
    let failed = |source| AgentError::Io {
        path: hand.socket.clone(),
        source,
    };
    if let Some(before) = Agent::at(&hand.socket)? {
        before.lock()?;
    }
    let mut child = Command::new(program)
        .args(ARGUMENTS)
        // No passphrase of the environment outlives the command that used it.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let handed = child
        .stdin
        .take()
        .map_or(Ok(()), |mut input| input.write_all(&hand.bytes()));
    let mut words = String::new();
    // One line: the agent keeps its end open as long as it lives.
    let said = child.stdout.take().map_or(Ok(0), |output| {
        BufReader::new(output.take(WORDS_MAX)).read_line(&mut words)
    });
    handed.and(said.map(drop)).map_err(failed)?;
    if words.trim() != READY {
        // It ends by itself after its words; whoever waits for it is this process.
        let _ended = child.wait();
        return Err(failed(io::Error::other(words.trim().to_owned())));
    }
    Agent::at(&hand.socket)?.ok_or_else(|| failed(io::ErrorKind::ConnectionRefused.into()))
}

impl Hand {
    /// Secret, account, seconds, path.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let path = self.socket.as_os_str().as_encoded_bytes();
        // Allocated once: a vector that grows leaves pieces of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + path.len()));
        bytes.extend_from_slice(&*self.key.to_bytes());
        bytes.extend_from_slice(&self.account.0);
        bytes.extend_from_slice(&self.time.as_secs().to_le_bytes());
        bytes.extend_from_slice(path);
        bytes
    }

    /// What [`Hand::bytes`] made.
    fn read(mut input: impl io::Read) -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        input.read_exact(&mut *secret)?;
        let mut account = [0; 32];
        input.read_exact(&mut account)?;
        let mut seconds = [0; 8];
        input.read_exact(&mut seconds)?;
        let mut path = String::new();
        input.take(WORDS_MAX).read_to_string(&mut path)?;
        Ok(Self {
            socket: PathBuf::from(path),
            time: Duration::from_secs(u64::from_le_bytes(seconds)),
            key: SecretKey::from_bytes(&secret),
            account: Address(account),
        })
    }
}

/// The agent: takes the key from standard input, says on standard output that it is ready or what is wrong, and serves.
///
/// # Errors
/// It could not begin; standard output has been told.
pub fn run() -> io::Result<()> {
    harden();
    let begun = Hand::read(io::stdin().lock()).and_then(|hand| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            bind(&hand.socket)?
        };
        Ok((hand, runtime, listener))
    });
    let (hand, runtime, listener) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            say(&error.to_string());
            return Err(error);
        }
    };
    let held = Rc::new(Held::new(hand.key, hand.account, hand.time));
    // Now that the key lies where it stays. It needs more rights than most users have.
    held.in_memory
        .set(rustix::mm::mlockall(MlockAllFlags::CURRENT).is_ok());
    let ours = inode(&hand.socket);
    say(READY);
    let waiting = runtime.block_on(serve(listener, held, ended()));
    // A newer agent may have taken the place; its socket stays.
    if ours.is_some() && inode(&hand.socket) == ours {
        std::fs::remove_file(&hand.socket)?;
    }
    // Nothing is left to be done: whoever asked for the lock is told so by this.
    drop(waiting);
    Ok(())
}

/// Which file a path names now.
fn inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Leaves the terminal's session; no core files, no debugger of the same user.
fn harden() {
    // It fails when this process leads a session already, which is as good.
    let _leader = rustix::process::setsid();
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Each of these is a second lock on a door: a system that refuses one still has the others.
    let _refused = rustix::process::setrlimit(Resource::Core, nothing);
    let _refused = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Listens on a socket that only this user can reach. A socket that nobody serves gives way.
fn bind(path: &Path) -> io::Result<UnixListener> {
    private_folder(path).map_err(io::Error::other)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The folder keeps others out already in the moment before this.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Says one line to whoever started the agent.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Who started it may be gone; then nobody waits.
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Ends when the system or the user asks the agent to.
async fn ended() {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        // Without signals the time and `key lock` still end it.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}
