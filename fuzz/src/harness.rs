//! How a harness runs: on bolero, which replays `__fuzz__/<harness>/{crashes,corpus}` beside the test's source and
//! then makes random bytes, on stable Rust and without instrumentation; `cargo bolero test` drives the same harness
//! with a fuzzer that sees coverage.
//!
//! Limits: [`TEST_TIME`] in ordinary tests; `BOLERO_RANDOM_TEST_TIME_MS` and `BOLERO_RANDOM_ITERATIONS`, which
//! `make fuzz` sets, come first.

use std::time::Duration;

/// How long a harness runs among the ordinary tests.
pub const TEST_TIME: Duration = Duration::from_millis(300);

/// Runs a function of `&[u8]` on the kept inputs and on random ones; it fails by panicking.
#[macro_export]
macro_rules! harness {
    ($check:expr) => {
        $crate::bolero::check!()
            .with_test_time($crate::TEST_TIME)
            .for_each($check)
    };
}
