;; Copies 16 KiB word by word, and once byte by byte for a quarter of it, n times.
(module (memory 1)
  (func (export "bench") (param $n i32) (result i64) (local $i i32)
    (i64.store (i32.const 64) (i64.const 0x123456789abcdef))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $words
        (i64.store offset=16384 (local.get $i) (i64.load (local.get $i)))
        (br_if $words (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 16384))))
      (local.set $i (i32.const 0))
      (loop $bytes
        (i32.store8 offset=40000 (local.get $i) (i32.load8_u offset=16384 (local.get $i)))
        (br_if $bytes (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
      (i64.store (i32.const 64) (i64.add (i64.load offset=40000 (i32.const 64)) (i64.const 77)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (i64.load (i32.const 64))))
