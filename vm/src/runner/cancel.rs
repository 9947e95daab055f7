//! Ending a job from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::parent::KillHandle;
use crate::job::HostError;

/// Ends one job, whenever it is told to: before the job begins, while it compiles, between its two processes, or while it
/// runs. After the job's end it does nothing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The processes of the runner that has the job.
    process: Option<KillHandle>,
}

impl Cancel {
    /// Ends the job with [`HostError::Cancelled`]; its process is killed.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        if let Some(process) = &state.process {
            process.kill();
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// The job begins: from now on cancelling it kills what works for it.
    pub(super) fn begin(&self, process: &KillHandle) -> Result<Begun<'_>, HostError> {
        let mut state = self.lock();
        if state.cancelled {
            return Err(HostError::Cancelled);
        }
        state.process = Some(process.clone());
        Ok(Begun(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that has begun; dropped when it ends, after which the process may belong to another job.
pub(super) struct Begun<'a>(&'a Cancel);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.lock().process = None;
    }
}
