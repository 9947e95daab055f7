//! The validator is total: whatever bytes it is given, it answers, and what it accepts engines compile.

#![cfg(feature = "native")]

use frith_vm::{EngineKind, Job, Limits, accepts, run_local};
use proptest::prelude::*;

const SEED: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1 2) (table 3 funcref) (elem (i32.const 0) $f $f)
    (global $g (mut i64) (i64.const 1)) (data (i32.const 8) "hello")
    (type $t (func (param i32) (result i32)))
    (func $f (type $t) (local f64 f32 i64)
        (local.set 1 (f64.div (local.get 1) (f64.const 3)))
        (block $out (loop $again
            (br_if $out (i32.eqz (local.get 0)))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_table $again $out (i32.and (local.get 0) (i32.const 1)))))
        (if (result i32) (local.get 0) (then (call_indirect (type $t) (i32.const 1) (local.get 0))) (else (i32.const 3))))
    (func (export "_start") (drop (call $f (i32.const 100)))
        (memory.copy (i32.const 100) (i32.const 0) (i32.const 50))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64)))))"#;

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if !accepts(bytes, &Limits::default()) {
        return Ok(());
    }
    let job = Job {
        fuel_limit: 200_000,
        ..Job::default()
    };
    let outcomes: Vec<_> = EngineKind::AVAILABLE
        .iter()
        .map(|kind| run_local(*kind, bytes, &job).map_err(|e| e.to_string()))
        .collect();
    prop_assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    prop_assert!(
        outcomes.windows(2).all(|pair| pair[0] == pair[1]),
        "{outcomes:?}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_modules_are_refused_or_run_alike(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = wat::parse_str(SEED).expect("parses");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(bytes);
        check(&module)?;
    }
}
