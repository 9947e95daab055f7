//! Processor time of single threads, as Linux counts it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The clock of one thread.
#[derive(Debug, Clone)]
pub(super) struct ThreadClock(PathBuf);

impl ThreadClock {
    /// Of the thread that asks.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn own() -> std::io::Result<Self> {
        // "PROCESS/task/THREAD"
        let thread = std::fs::read_link("/proc/thread-self")?;
        Ok(Self(Path::new("/proc").join(thread).join("schedstat")))
    }

    /// Time that it ran so far, exact to a tick of the scheduler.
    ///
    /// # Errors
    /// The thread has ended, or the kernel doesn't count.
    pub(super) fn read(&self) -> std::io::Result<Duration> {
        let text = std::fs::read_to_string(&self.0)?;
        let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok());
        nanos
            .map(Duration::from_nanos)
            .ok_or_else(|| std::io::Error::other(format!("{:?} is no time", text.trim())))
    }
}

/// How many cores some threads kept busy between two moments.
#[derive(Debug)]
pub(super) struct Span<'a> {
    clocks: &'a [ThreadClock],
    began: Instant,
    before: Duration,
}

impl<'a> Span<'a> {
    /// From now on.
    ///
    /// # Errors
    /// As [`ThreadClock::read`].
    pub(super) fn begin(clocks: &'a [ThreadClock]) -> std::io::Result<Self> {
        Ok(Self {
            clocks,
            began: Instant::now(),
            before: total(clocks)?,
        })
    }

    /// Up to now.
    ///
    /// # Errors
    /// As [`ThreadClock::read`].
    pub(super) fn cores(&self) -> std::io::Result<f64> {
        let ran = total(self.clocks)?.saturating_sub(self.before);
        Ok(ran.as_secs_f64() / self.began.elapsed().as_secs_f64().max(1e-9))
    }
}

fn total(clocks: &[ThreadClock]) -> std::io::Result<Duration> {
    clocks.iter().map(ThreadClock::read).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_told_apart_from_one_that_waits() {
        let own = ThreadClock::own().expect("has a clock");
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let idle = std::thread::spawn(move || {
            sender.send(ThreadClock::own().expect("has a clock"))?;
            // Ends when the other side does.
            let _ended = ended.recv();
            Ok::<_, std::sync::mpsc::SendError<ThreadClock>>(())
        });
        let other = receiver.recv().expect("is told");
        let (begun, idled) = (own.read().expect("reads"), other.read().expect("reads"));
        let mut turns = 0_u64;
        while own.read().expect("reads") < begun + Duration::from_millis(20) {
            turns += 1;
        }
        assert!(turns > 0);
        assert!(other.read().expect("reads") < idled + Duration::from_millis(20));
        drop(end);
        idle.join().expect("ends").expect("told its clock");
    }
}
