//! A line to a node's API that loses what it is told to lose.

use super::Outcome;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What begins a submission.
const SUBMISSION: &[u8] = b"POST /v1/operations";

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It brings everything.
    Whole,
    /// The next submission arrives, its answer is lost, and nothing works any more.
    LosesAnswer,
    /// The next submission is lost, and nothing works any more.
    LosesSubmission,
    /// Submissions neither arrive nor fail.
    Hangs,
    /// Nothing works.
    Cut,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    upstream: SocketAddr,
    /// Submissions that came to this end.
    submissions: usize,
}

/// The line. It lives as long as the test.
#[derive(Debug, Clone)]
pub struct Line {
    state: Arc<(Mutex<State>, Condvar)>,
    base: String,
}

impl Line {
    /// A whole line to the API at `base`.
    pub fn to(base: &str) -> Outcome<Self> {
        let state = State {
            mode: Mode::Whole,
            upstream: address(base)?,
            submissions: 0,
        };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let line = Self {
            state: Arc::new((Mutex::new(state), Condvar::new())),
            base: format!("http://{}", listener.local_addr()?),
        };
        let served = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = served.clone();
                std::thread::spawn(move || line.serve(client));
            }
        });
        Ok(line)
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, mode: Mode) {
        self.lock().mode = mode;
        self.state.1.notify_all();
    }

    /// From now on it leads to another API, as when a node starts again elsewhere.
    pub fn lead_to(&self, base: &str) -> Outcome {
        self.lock().upstream = address(base)?;
        Ok(())
    }

    /// Waits until so many submissions came to this end.
    pub fn await_submissions(&self, count: usize) {
        let mut state = self.lock();
        while state.submissions < count {
            let waited = self.state.1.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Carries one connection, until an end of it is gone or the line is cut. Whoever loses it sees that.
    fn serve(&self, client: TcpStream) {
        let (mode, upstream) = {
            let state = self.lock();
            (state.mode, state.upstream)
        };
        if mode == Mode::Cut {
            return;
        }
        let Ok(node) = TcpStream::connect(upstream) else {
            return;
        };
        let (Ok(from_node), Ok(to_client)) = (node.try_clone(), client.try_clone()) else {
            return;
        };
        let back = self.clone();
        std::thread::spawn(move || back.carry_back(from_node, to_client));
        self.carry_there(client, node);
    }

    fn carry_there(&self, mut client: TcpStream, mut node: TcpStream) {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let bytes = &buffer[..count];
            if bytes.starts_with(SUBMISSION) && !self.passes_submission() {
                break;
            }
            if node.write_all(bytes).is_err() {
                break;
            }
        }
        let _gone = (
            client.shutdown(Shutdown::Both),
            node.shutdown(Shutdown::Both),
        );
    }

    fn passes_submission(&self) -> bool {
        let mut state = self.lock();
        state.submissions += 1;
        self.state.1.notify_all();
        while state.mode == Mode::Hangs {
            let waited = self.state.1.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.mode == Mode::LosesSubmission {
            state.mode = Mode::Cut;
        }
        state.mode != Mode::Cut
    }

    fn carry_back(&self, mut node: TcpStream, mut client: TcpStream) {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = node.read(&mut buffer) {
            let mut state = self.lock();
            if state.mode == Mode::LosesAnswer && state.submissions > 0 {
                state.mode = Mode::Cut;
            }
            if state.mode == Mode::Cut {
                break;
            }
            drop(state);
            if client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _gone = (
            client.shutdown(Shutdown::Both),
            node.shutdown(Shutdown::Both),
        );
    }
}

fn address(base: &str) -> Outcome<SocketAddr> {
    let address = base.strip_prefix("http://").ok_or("an http address")?;
    Ok(address.parse()?)
}
