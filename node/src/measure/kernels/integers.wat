;; A chain of multiplications, rotations and branches, without end: the run ends with its fuel.
(module
  (memory 1)
  (func (export "run")
    (local $a i64) (local $b i64)
    (local.set $a (i64.const 0x9e3779b97f4a7c15))
    (loop $next
      (local.set $a (i64.rotl (i64.mul (i64.xor (local.get $a) (i64.shr_u (local.get $a) (i64.const 29)))
                                       (i64.const 0xbf58476d1ce4e5b9)) (i64.const 17)))
      (if (i64.eqz (i64.and (local.get $a) (i64.const 7)))
        (then (local.set $b (i64.add (local.get $b) (i64.const 1)))))
      (br $next))))
