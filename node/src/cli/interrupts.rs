//! The last word of a command that is interrupted while an operation is under way.

use super::output::complain;
use crate::failure::Failure;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What is said when a signal ends this process.
#[derive(Debug, Clone)]
struct LastWord {
    failure: Failure,
    json: bool,
}

static WORD: Mutex<Option<LastWord>> = Mutex::new(None);

/// From now on a signal ends this process with these words and their exit code, instead of without any.
pub(super) fn leave(failure: Failure, json: bool) {
    *WORD.lock().unwrap_or_else(PoisonError::into_inner) = Some(LastWord { failure, json });
    static LISTENER: OnceLock<()> = OnceLock::new();
    LISTENER.get_or_init(|| {
        let (ready, listens) = channel();
        std::thread::spawn(move || listen(&ready));
        // A listener that ends at once leaves signals as they were.
        let _ended = listens.recv();
    });
}

/// Waits for signals, and says when it does. Where the system gives none, they end the process as ever: the operation's id
/// was told before.
fn listen(ready: &Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    if !runtime.block_on(ended(ready)) {
        return;
    }
    let word = WORD.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(LastWord { failure, json }) = word else {
        return;
    };
    complain(&failure, json);
    std::process::exit(failure.exit as i32);
}

/// Whether a signal came.
async fn ended(ready: &Sender<()>) -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return false;
    };
    let _nobody_waits = ready.send(());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    true
}
