//! The agent's side of the socket.

use super::wire::{Described, Request, Response, frame, length, value};
use frith_ledger::address::Address;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::SignedOperation;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};

/// Connections served at one time; one more waits.
pub(super) const CONNECTIONS_MAX: usize = 16;
/// Longest that a request may take, from the connection to the answer.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// The key and how long it is held.
pub(super) struct Held {
    key: SecretKey,
    account: Address,
    until: Instant,
    pub(super) in_memory: Cell<bool>,
    locked: Notify,
    /// Who asked it to lock: their connections stay open until it has left.
    waiting: RefCell<Vec<UnixStream>>,
}

impl Held {
    pub(super) fn new(key: SecretKey, account: Address, time: Duration) -> Self {
        Self {
            account,
            key,
            until: Instant::now() + time,
            in_memory: Cell::new(false),
            locked: Notify::new(),
            waiting: RefCell::default(),
        }
    }

    fn answer(&self, request: Request) -> Response {
        match request {
            Request::Describe => Response::Described(Described {
                account: self.account,
                seconds_left: self
                    .until
                    .saturating_duration_since(Instant::now())
                    .as_secs(),
                process: std::process::id(),
                in_memory: self.in_memory.get(),
            }),
            Request::Sign(body) if body.account == self.account => {
                let signed = SignedOperation::sign(*body, &self.key);
                Response::Signed {
                    key: signed.key,
                    signature: signed.signature,
                }
            }
            Request::Sign(_) => Response::NotMine,
            Request::Lock => Response::Locked,
        }
    }
}

/// Serves until the time is over, a lock is asked for, or `asked` ends. The key is forgotten when this returns. Who asked for
/// the lock waits until its connection, which this gives, is closed.
pub(super) async fn serve(
    listener: UnixListener,
    held: Rc<Held>,
    asked: impl Future<Output = ()>,
) -> Vec<UnixStream> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let local = tokio::task::LocalSet::new();
    let until = tokio::time::Instant::from_std(held.until);
    let accept = async {
        loop {
            // The semaphore is never closed; were it, nobody would be served any more.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            // A failed accept (no descriptors) ends nothing: the next one may work.
            if let Ok((stream, _)) = listener.accept().await {
                let held = Rc::clone(&held);
                tokio::task::spawn_local(async move {
                    // Who hangs up or sends rubbish gets no answer; there is nobody to tell.
                    let _unanswered =
                        tokio::time::timeout(REQUEST_TIME_MAX, one(stream, &held)).await;
                    drop(permit);
                });
            }
        }
    };
    local
        .run_until(async {
            tokio::select! {
                () = accept => {}
                () = held.locked.notified() => {}
                () = tokio::time::sleep_until(until) => {}
                () = asked => {}
            }
        })
        .await;
    held.waiting.take()
}

/// One request of one connection.
async fn one(mut stream: UnixStream, held: &Held) -> io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut bytes = vec![0; length(head)?];
    stream.read_exact(&mut bytes).await?;
    let response = held.answer(value(&bytes)?);
    stream.write_all(&frame(&response)).await?;
    stream.flush().await?;
    if response == Response::Locked {
        held.waiting.borrow_mut().push(stream);
        held.locked.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::client::{Agent, exchange};
    use frith_ledger::credits::Credits;
    use frith_ledger::hash::Hash;
    use frith_ledger::operation::{Action, OperationBody};
    use frith_ledger::units::{Epoch, Nonce};
    use std::future::pending;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener as Blocking, UnixStream as BlockingStream};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn body(account: Address) -> OperationBody {
        OperationBody {
            genesis: Hash([7; 32]),
            account,
            nonce: Nonce::ZERO,
            expires: Epoch::new(9),
            fee: Credits::new(1),
            action: Action::CancelTask { task: account },
        }
    }

    /// Runs `client` against an agent that holds the key of 1s, and returns when both have ended.
    fn check(time: Duration, client: impl FnOnce(&Path) + Send + 'static) {
        check_leaving(time, client, || {});
    }

    /// The same; the agent does `leave` between its last answer and its end.
    fn check_leaving(
        time: Duration,
        client: impl FnOnce(&Path) + Send + 'static,
        leave: impl FnOnce(),
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))
            .expect("is mine");
        let socket: PathBuf = dir.path().join("key.sock");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("starts");
        let listener = runtime
            .block_on(async { UnixListener::bind(&socket) })
            .expect("binds");
        let asking = std::thread::spawn(move || client(&socket));
        let key = SecretKey::from_bytes(&[1; 32]);
        let account = key.public().address();
        let held = Rc::new(Held::new(key, account, time));
        let waiting = runtime.block_on(serve(listener, held, pending()));
        leave();
        drop(waiting);
        drop(runtime);
        asking.join().expect("the client found what it expected");
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_agent_signs_for_its_own_account_alone_and_ends_when_it_is_told() {
        check(LONG, |socket| {
            let agent = Agent::at(socket).expect("answers").expect("is there");
            let mine = SecretKey::from_bytes(&[1; 32]).public().address();
            assert_eq!(agent.described.account, mine);
            let signed = agent.sign(body(mine)).expect("signs");
            assert_eq!(signed.body, body(mine));
            let other = SecretKey::from_bytes(&[2; 32]).public().address();
            let refused = agent.sign(body(other)).expect_err("another account's");
            assert!(refused.to_string().contains("another account"), "{refused}");
            agent.lock().expect("locks");
        });
    }

    #[test]
    fn a_key_is_said_to_be_locked_when_its_agent_has_left() {
        let (goes_on, may_leave) = std::sync::mpsc::channel();
        let left = Arc::new(AtomicBool::new(false));
        let seen = left.clone();
        check_leaving(
            LONG,
            move |socket| {
                let (answer, mut stream) = exchange(socket, &Request::Lock).expect("answers");
                assert_eq!(answer, Response::Locked);
                stream.set_nonblocking(true).expect("is open");
                let early = stream
                    .read(&mut [0])
                    .expect_err("it is on its way out still");
                assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
                stream.set_nonblocking(false).expect("is open");
                stream.set_read_timeout(None).expect("is open");
                goes_on.send(()).expect("the agent waits for this");
                assert_eq!(stream.read(&mut [0]).expect("ends in order"), 0);
                assert!(seen.load(Ordering::SeqCst), "it has left");
            },
            || {
                may_leave.recv().expect("the client has looked");
                left.store(true, Ordering::SeqCst);
            },
        );
    }

    #[test]
    fn who_locks_a_key_waits_for_what_comes_after_the_answer() {
        let check = |after: &'static [u8], expected: Option<&str>| {
            let dir = tempfile::tempdir().expect("a temporary directory");
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))
                .expect("is mine");
            let socket = dir.path().join("key.sock");
            let listener = Blocking::bind(&socket).expect("binds");
            let described = Response::Described(Described {
                account: Address([1; 32]),
                seconds_left: 60,
                process: 1,
                in_memory: false,
            });
            let agent = std::thread::spawn(move || {
                for (response, more) in [(described, &b""[..]), (Response::Locked, after)] {
                    let (mut stream, _) = listener.accept().expect("somebody comes");
                    let mut head = [0; 4];
                    stream.read_exact(&mut head).expect("a request");
                    let mut bytes = vec![0; length(head).expect("a length")];
                    stream.read_exact(&mut bytes).expect("a request");
                    let said = [&frame(&response)[..], more].concat();
                    stream.write_all(&said).expect("is taken");
                }
            });
            let known = Agent::at(&socket).expect("answers").expect("is there");
            let locked = known.lock().map_err(|error| error.to_string());
            agent.join().expect("an agent's part");
            match expected {
                None => locked.expect("it left"),
                Some(part) => {
                    let error = locked.expect_err("it says more");
                    assert!(error.contains(part), "{error}");
                }
            }
        };
        check(b"", None);
        check(b"x", Some("said more than that it locks"));
    }

    #[test]
    fn an_agent_ends_with_its_time() {
        check(Duration::ZERO, |socket| {
            // Whether it still answers is chance; that `check` returns at all is what counts.
            let _perhaps = Agent::at(socket);
        });
    }

    #[test]
    fn who_says_nothing_or_rubbish_keeps_nobody_from_being_served() {
        check(LONG, |socket| {
            let silent: Vec<_> = (0..CONNECTIONS_MAX - 1)
                .map(|_| BlockingStream::connect(socket))
                .collect();
            let mut rubbish = BlockingStream::connect(socket).expect("connects");
            rubbish.write_all(&[0xff; 64]).expect("is taken");
            let agent = Agent::at(socket).expect("answers").expect("is there");
            agent.lock().expect("locks");
            drop(silent);
        });
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))
            .expect("is mine");
        let socket = dir.path().join("key.sock");
        std::fs::write(&socket, "").expect("writes");
        let error = Agent::at(&socket).expect_err("is open to others");
        assert!(error.to_string().contains("0700"), "{error}");
    }
}
