;; Iterates points of the plane: multiplications and additions of doubles, with their canonical NaNs.
(module
  (memory 1)
  (func (export "run")
    (local $x f64) (local $y f64) (local $t f64) (local $c f64) (local $n i32)
    (loop $point
      (local.set $c (f64.add (local.get $c) (f64.const 0.000001)))
      (local.set $x (f64.const 0)) (local.set $y (f64.const 0)) (local.set $n (i32.const 200))
      (loop $step
        (local.set $t (f64.add (f64.sub (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y)))
                               (local.get $c)))
        (local.set $y (f64.add (f64.mul (f64.mul (f64.const 2) (local.get $x)) (local.get $y)) (f64.const 0.1)))
        (local.set $x (local.get $t))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $step (local.get $n)))
      (br $point))))
