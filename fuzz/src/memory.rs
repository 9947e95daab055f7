//! Counts what a thread has allocated, to show that a decoder's memory follows its input.
//!
//! The counts are per thread: tests run beside each other. Memory that one thread allocates and another frees counts
//! for the first for ever; decoders don't do that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: i64) {
    // A thread that is ending has no counters any more, and nobody asks for them.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "an allocation is at most isize::MAX bytes"
)]
const fn signed(bytes: usize) -> i64 {
    bytes as i64
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; every call goes to the system's as it came"
)]
// SAFETY: each method hands its arguments to `System` unchanged and returns what that returns; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `run` returns, and the most bytes that it held at one time above what was held before.
pub fn allocated<R>(run: impl FnOnce() -> R) -> (R, u64) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = run();
    let peak = PEAK.get().saturating_sub(before);
    (result, u64::try_from(peak).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_held_counts_and_not_what_is_left() {
        let (left, peak) = allocated(|| {
            drop(std::hint::black_box(vec![1_u8; 5000]));
            std::hint::black_box(vec![2_u8; 100])
        });
        assert_eq!(left.len(), 100);
        assert!((5000..6000).contains(&peak), "{peak}");
    }
}
