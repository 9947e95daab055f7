//! What the system tells of another process.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of test programs")]

use std::time::Duration;

/// The fields of a process's `stat` from its state on.
fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

/// The CPU time that a process has used, in hundredths of a second; 0 when it is gone.
pub fn ticks(process: u32) -> u64 {
    let used = stat(process).and_then(|fields| fields.get(11)?.parse().ok());
    used.unwrap_or(0)
}

/// Waits until a process has used CPU time beyond what it had used, or is gone.
pub fn wait_until_busy(process: u32) {
    let before = ticks(process);
    while ticks(process) <= before && !is_zombie(process) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Waits for a process's end and says whether it came before the process had used so much more CPU time, in hundredths
/// of a second. How fast the machine is makes no difference: what was killed computes no more, and what goes on does.
pub fn ends_within(process: u32, more: u64) -> bool {
    let before = ticks(process);
    while !is_zombie(process) {
        if ticks(process) > before + more {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}

/// Whether all threads of the process are gone: its first one is a zombie before the others ended, and only
/// the last makes the process one that can be waited for.
pub fn is_zombie(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
    let state = stat(process).and_then(|fields| fields.into_iter().next());
    threads <= 1 && state.is_none_or(|state| state == "Z")
}

/// The children of a process, whichever of its threads started them.
pub fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of_thread = |thread: std::fs::DirEntry| {
        let listed = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let ids = listed.split_whitespace().filter_map(|id| id.parse().ok());
        ids.collect::<Vec<u32>>()
    };
    threads.filter_map(Result::ok).flat_map(of_thread).collect()
}
