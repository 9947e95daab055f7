;; Float arithmetic whose NaNs are seen through memory, reinterpretation, select and locals.
(module
  (memory (export "memory") 1 1)
  (func $mix (param f64 f32) (result f64) (local f64 i32)
    (local.set 2 (f64.sqrt (local.get 0)))
    (f64.store (i32.const 0) (f64.div (local.get 2) (f64.sub (local.get 0) (local.get 0))))
    (local.set 3 (i32.reinterpret_f32 (f32.min (local.get 1) (f32.const nan:0x200000))))
    (if (i32.lt_s (local.get 3) (i32.const 0))
      (then (return (f64.promote_f32 (f32.demote_f64 (local.get 2))))))
    (select (f64.max (local.get 0) (local.get 2)) (f64.copysign (local.get 2) (local.get 0))
      (i32.trunc_sat_f64_s (f64.nearest (local.get 0)))))
  (func (export "_start") (local f64)
    (local.set 0 (call $mix (f64.const -2) (f32.const 1.5)))
    (f64.store (i32.const 8) (f64.add (local.get 0) (call $mix (f64.const inf) (f32.const -0))))
    (loop $again
      (f32.store (i32.const 16) (f32.mul (f32.load (i32.const 16)) (f32.const 0x1p-149)))
      (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.reinterpret_f64 (local.get 0))))
      (br_if $again (i32.lt_u (i32.load (i32.const 24)) (i32.const 1000))))))
