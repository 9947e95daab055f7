//! The logs of this node's own runs.

use frith_ledger::address::Address;
use frith_ledger::entity::RunStatus;
use frith_ledger::units::Fuel;
use frith_vm::{EXCERPT_PART_BYTES, Excerpt};
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a log is kept.
pub const LOG_TIME: Duration = Duration::from_secs(3_600);
/// Bytes of all logs together.
pub const LOGS_BYTES_MAX: usize = 64 << 20;
/// What a log counts for beside its text, so that empty ones are bounded too.
const ENTRY_BYTES: usize = 512;

/// What one run said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RunLog {
    /// The seat whose place it was run for.
    pub seat: Address,
    /// The engine.
    pub engine: u8,
    /// How it ended.
    pub status: RunStatus,
    /// What it burned.
    pub fuel: Fuel,
    /// Standard error.
    pub stderr: Excerpt,
}

/// A log as peers get it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeptLog {
    /// Seconds since the run ended.
    pub age_s: u32,
    /// The log.
    pub log: RunLog,
}

impl KeptLog {
    /// Bytes of a longer encoding are no log.
    pub const BYTES_MAX: usize = 2 * EXCERPT_PART_BYTES + ENTRY_BYTES;
}

/// The logs of the runs of the last hour. Cheap to clone.
#[derive(Clone, Default)]
pub struct RunLogs(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    /// Oldest first.
    entries: BTreeMap<u64, Entry>,
    numbers: BTreeMap<Address, u64>,
    next: u64,
    bytes: usize,
}

struct Entry {
    task: Address,
    at: Instant,
    log: RunLog,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.log.stderr.kept()
    }
}

impl Shelf {
    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.bytes -= entry.bytes();
            self.numbers.remove(&entry.task);
        }
    }

    /// Removes what is too old, and the oldest until all fit.
    fn trim(&mut self, now: Instant) {
        while let Some((&number, oldest)) = self.entries.first_key_value() {
            let is_old = now.saturating_duration_since(oldest.at) >= LOG_TIME;
            if !is_old && self.bytes <= LOGS_BYTES_MAX {
                return;
            }
            self.remove(number);
        }
    }
}

impl RunLogs {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the log of a run that has ended now, in place of an older run of the same task.
    pub fn keep(&self, task: Address, log: RunLog, now: Instant) {
        let mut shelf = self.shelf();
        if let Some(older) = shelf.numbers.get(&task).copied() {
            shelf.remove(older);
        }
        let number = shelf.next;
        shelf.next += 1;
        let entry = Entry { task, at: now, log };
        shelf.bytes += entry.bytes();
        shelf.entries.insert(number, entry);
        shelf.numbers.insert(task, number);
        shelf.trim(now);
    }

    /// The log of the task's last run here.
    #[must_use]
    pub fn get(&self, task: &Address, now: Instant) -> Option<KeptLog> {
        let mut shelf = self.shelf();
        shelf.trim(now);
        let entry = shelf.entries.get(shelf.numbers.get(task)?)?;
        let age = now.saturating_duration_since(entry.at).as_secs();
        Some(KeptLog {
            age_s: u32::try_from(age).unwrap_or(u32::MAX),
            log: entry.log.clone(),
        })
    }

    /// Lets go of what is too old.
    pub fn expire(&self, now: Instant) {
        self.shelf().trim(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::codec::decode;

    fn log(text: &[u8]) -> RunLog {
        RunLog {
            seat: Address([7; 32]),
            engine: 1,
            status: RunStatus::Exit(3),
            fuel: Fuel::new(9),
            stderr: text.into(),
        }
    }

    fn task(number: usize) -> Address {
        let mut address = [0; 32];
        address[..8].copy_from_slice(&number.to_le_bytes());
        Address(address)
    }

    #[test]
    fn a_log_is_kept_for_an_hour_and_a_later_run_of_the_task_takes_its_place() {
        let (logs, start) = (RunLogs::default(), Instant::now());
        logs.keep(task(1), log(b"first"), start);
        let later = start + Duration::from_secs(100);
        logs.keep(task(2), log(b"other"), later);
        logs.keep(task(1), log(b"second"), later);
        let kept = logs.get(&task(1), later + Duration::from_secs(5));
        let kept = kept.expect("it is there");
        assert_eq!((kept.age_s, kept.log.stderr.head()), (5, &b"second"[..]));
        let end = later + LOG_TIME;
        assert!(logs.get(&task(2), end - Duration::from_secs(1)).is_some());
        assert_eq!(logs.get(&task(2), end), None);
        assert_eq!(logs.get(&task(1), end), None);
        assert_eq!(logs.shelf().bytes, 0);
    }

    #[test]
    fn a_run_whose_place_a_later_one_took_takes_nothing_along_when_its_hour_is_over() {
        let (logs, start) = (RunLogs::default(), Instant::now());
        logs.keep(task(1), log(b"first"), start);
        let later = start + LOG_TIME / 2;
        logs.keep(task(1), log(b"second"), later);
        assert_eq!(logs.shelf().entries.len(), 1);
        let kept = logs.get(&task(1), start + LOG_TIME).expect("it is there");
        assert_eq!(kept.log.stderr.head(), b"second");
    }

    #[test]
    fn the_oldest_logs_go_first_and_empty_ones_count_too() {
        let (logs, now) = (RunLogs::default(), Instant::now());
        let large = vec![b'x'; 4 * EXCERPT_PART_BYTES];
        for number in 0..600 {
            logs.keep(task(number), log(&large), now);
            assert!(logs.shelf().bytes <= LOGS_BYTES_MAX);
        }
        let is_kept = |number| logs.get(&task(number), now).is_some();
        let kept = (0..600).filter(|number| is_kept(*number)).count();
        assert_eq!(
            kept,
            LOGS_BYTES_MAX / (2 * EXCERPT_PART_BYTES + ENTRY_BYTES)
        );
        assert!(is_kept(599) && is_kept(600 - kept) && !is_kept(599 - kept));
        let most = LOGS_BYTES_MAX / ENTRY_BYTES;
        for number in 0..most + 10 {
            logs.keep(task(1_000 + number), log(b""), now);
        }
        assert_eq!(logs.shelf().entries.len(), most);
        assert_eq!(logs.shelf().numbers.len(), most);
    }

    #[test]
    fn the_longest_log_fits_its_bound() {
        let longest = KeptLog {
            age_s: u32::MAX,
            log: RunLog {
                fuel: Fuel::new(u64::MAX),
                status: RunStatus::Refused {
                    code: u16::MAX,
                    offset: u32::MAX,
                },
                ..log(&vec![0; 3 * EXCERPT_PART_BYTES])
            },
        };
        let encoded = longest.encode();
        assert_eq!(decode(&encoded, KeptLog::BYTES_MAX), Ok(longest));
    }

    #[test]
    fn fuzz_logs_of_peers() {
        frith_fuzz::harness!(|input: &[u8]| {
            frith_fuzz::codec::<KeptLog, _>(input, KeptLog::BYTES_MAX, |bytes| {
                decode::<KeptLog>(bytes, KeptLog::BYTES_MAX)
            });
        });
    }
}
