;; A byte-code interpreter: br_table in a loop, 4096 steps for each of n.
(module (memory 1)
  (data (i32.const 0) "\00\01\02\03\01\00\04\02\00\01\03\02\05\00\01\06")
  (func (export "bench") (param $n i32) (result i64) (local $pc i32) (local $steps i32) (local $a i64) (local $b i64)
    (loop $again
      (local.set $steps (i32.const 4096))
      (loop $step
        (block $next
          (block $rotate (block $store (block $load (block $swap (block $xor (block $multiply (block $add
            (br_table $add $multiply $xor $swap $load $store $rotate (i32.load8_u (i32.and (local.get $pc) (i32.const 15)))))
            (local.set $a (i64.add (local.get $a) (i64.const 0x1234567))) (br $next))
            (local.set $a (i64.mul (local.get $a) (i64.const 0x5851f42d4c957f2d))) (br $next))
            (local.set $a (i64.xor (local.get $a) (local.get $b))) (br $next))
            (local.set $b (i64.add (local.get $a) (local.get $b))) (br $next))
            (local.set $a (i64.add (local.get $a) (i64.load offset=64 (i32.shl (i32.and (local.get $pc) (i32.const 255)) (i32.const 3))))) (br $next))
            (i64.store offset=64 (i32.shl (i32.and (local.get $pc) (i32.const 255)) (i32.const 3)) (local.get $a)) (br $next))
          (local.set $a (i64.rotl (local.get $a) (i64.const 17))))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (br_if $step (local.tee $steps (i32.sub (local.get $steps) (i32.const 1)))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (i64.xor (local.get $a) (local.get $b))))
