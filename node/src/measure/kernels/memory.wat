;; Sieves a quarter of a mebibyte again and again: loads, stores and short loops.
(module
  (memory 4)
  (func (export "run")
    (local $i i32) (local $j i32) (local $round i32)
    (loop $again
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (local.set $i (i32.const 2))
      (loop $outer
        (local.set $j (i32.mul (local.get $i) (i32.const 2)))
        (loop $inner
          (if (i32.lt_u (local.get $j) (i32.const 262144))
            (then
              (i32.store8 (local.get $j)
                (i32.add (i32.load8_u (local.get $j)) (local.get $round)))
              (local.set $j (i32.add (local.get $j) (local.get $i)))
              (br $inner))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $outer (i32.lt_u (local.get $i) (i32.const 512))))
      (br $again))))
