;; Heap sort of 4096 pseudo-random words, n times; sifting down is a function of its own.
(module (memory 1)
  (func $sift (param $root i32) (param $end i32) (local $child i32) (local $value i32)
    (local.set $value (i32.load (i32.shl (local.get $root) (i32.const 2))))
    (block $done (loop $down
      (local.set $child (i32.add (i32.shl (local.get $root) (i32.const 1)) (i32.const 1)))
      (br_if $done (i32.ge_u (local.get $child) (local.get $end)))
      (if (i32.lt_u (i32.add (local.get $child) (i32.const 1)) (local.get $end)) (then
        (if (i32.lt_u (i32.load (i32.shl (local.get $child) (i32.const 2))) (i32.load offset=4 (i32.shl (local.get $child) (i32.const 2)))) (then
          (local.set $child (i32.add (local.get $child) (i32.const 1)))))))
      (br_if $done (i32.ge_u (local.get $value) (i32.load (i32.shl (local.get $child) (i32.const 2)))))
      (i32.store (i32.shl (local.get $root) (i32.const 2)) (i32.load (i32.shl (local.get $child) (i32.const 2))))
      (local.set $root (local.get $child))
      (br $down)))
    (i32.store (i32.shl (local.get $root) (i32.const 2)) (local.get $value)))
  (func (export "bench") (param $n i32) (result i64) (local $i i32) (local $x i32) (local $sum i64)
    (loop $again
      (local.set $x (i32.add (local.get $n) (i32.const 12345)))
      (local.set $i (i32.const 0))
      (loop $fill
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
        (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
      (local.set $i (i32.const 2048))
      (loop $build
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (call $sift (local.get $i) (i32.const 4096))
        (br_if $build (local.get $i)))
      (local.set $i (i32.const 4095))
      (loop $take
        (local.set $x (i32.load (i32.const 0)))
        (i32.store (i32.const 0) (i32.load (i32.shl (local.get $i) (i32.const 2))))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
        (call $sift (i32.const 0) (local.get $i))
        (br_if $take (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (i32.load (i32.const 8000)))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (local.get $sum)))
