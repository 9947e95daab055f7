//! The last word of a command that is interrupted while an operation is under way.

use super::output::complain;
use crate::failure::Failure;
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
        std::thread::spawn(listen);
    });
}

/// Waits for signals. Where the system gives none, they end the process as ever: the operation's id was told before.
fn listen() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(ended());
    let word = WORD.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(LastWord { failure, json }) = word else {
        return;
    };
    complain(&failure, json);
    std::process::exit(failure.exit as i32);
}

async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
