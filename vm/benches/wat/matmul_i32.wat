;; Multiplies two 64 x 64 matrices of i32, n times.
(module (memory 4)
  (func (export "bench") (param $n i32) (result i64) (local $i i32) (local $j i32) (local $k i32) (local $sum i32)
    (local.set $i (i32.const 0))
    (loop $fill
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.add (i32.const 0) (i32.rem_u (i32.mul (local.get $i) (i32.const 7)) (i32.const 101))))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $rows
        (local.set $j (i32.const 0))
        (loop $columns
          (local.set $k (i32.const 0))
          (local.set $sum (i32.const 0))
          (loop $products
            (local.set $sum (i32.add (local.get $sum) (i32.mul
              (i32.load (i32.shl (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $k)) (i32.const 2)))
              (i32.load offset=16384 (i32.shl (i32.add (i32.shl (local.get $k) (i32.const 6)) (local.get $j)) (i32.const 2))))))
            (br_if $products (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 64))))
          (i32.store offset=32768 (i32.shl (i32.add (i32.shl (local.get $i) (i32.const 6)) (local.get $j)) (i32.const 2)) (local.get $sum))
          (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 64))))
        (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (i64.extend_i32_u (i32.load offset=32768 (i32.const 1000)))))
