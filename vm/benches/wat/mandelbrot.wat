;; The Mandelbrot set on a 48 x 48 grid with up to 100 iterations a point, n times.
(module
  (func (export "bench") (param $n i32) (result i64) (local $i i32) (local $j i32) (local $k i32) (local $sum i64)
    (local $cr f64) (local $ci f64) (local $zr f64) (local $zi f64) (local $t f64)
    (loop $again
      (local.set $i (i32.const 0))
      (loop $rows
        (local.set $j (i32.const 0))
        (local.set $ci (f64.sub (f64.div (f64.convert_i32_u (local.get $i)) (f64.const 19)) (f64.const 1.25)))
        (loop $columns
          (local.set $cr (f64.sub (f64.div (f64.convert_i32_u (local.get $j)) (f64.const 17)) (f64.const 2)))
          (local.set $zr (f64.const 0)) (local.set $zi (f64.const 0)) (local.set $k (i32.const 100))
          (block $escaped (loop $iterate
            (local.set $t (f64.add (f64.sub (f64.mul (local.get $zr) (local.get $zr)) (f64.mul (local.get $zi) (local.get $zi))) (local.get $cr)))
            (local.set $zi (f64.add (f64.mul (f64.mul (f64.const 2) (local.get $zr)) (local.get $zi)) (local.get $ci)))
            (local.set $zr (local.get $t))
            (br_if $escaped (f64.gt (f64.add (f64.mul (local.get $zr) (local.get $zr)) (f64.mul (local.get $zi) (local.get $zi))) (f64.const 4)))
            (br_if $iterate (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $k))))
          (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 48))))
        (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 48))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (local.get $sum)))
