;; An open-addressing hash table: 4096 insertions and 4096 look-ups for each of n.
(module (memory 2)
  (func $slot (param $key i32) (result i32) (local $at i32) (local $found i32)
    (local.set $at (i32.and (i32.shr_u (i32.mul (local.get $key) (i32.const 0x9e3779b1)) (i32.const 16)) (i32.const 8191)))
    (loop $probe
      (local.set $found (i32.load (i32.shl (local.get $at) (i32.const 3))))
      (if (i32.eq (local.get $found) (local.get $key)) (then (return (i32.shl (local.get $at) (i32.const 3)))))
      (if (i32.eqz (local.get $found)) (then (return (i32.shl (local.get $at) (i32.const 3)))))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 1)) (i32.const 8191)))
      (br $probe))
    (unreachable))
  (func (export "bench") (param $n i32) (result i64) (local $i i32) (local $at i32) (local $sum i64)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))
      (local.set $i (i32.const 1))
      (loop $insert
        (local.set $at (call $slot (i32.mul (local.get $i) (i32.const 2654435)))) 
        (i32.store (local.get $at) (i32.mul (local.get $i) (i32.const 2654435)))
        (i32.store offset=4 (local.get $at) (local.get $i))
        (br_if $insert (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
      (local.set $i (i32.const 1))
      (loop $find
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u
          (i32.load offset=4 (call $slot (i32.mul (local.get $i) (i32.const 2654435)))))))
        (br_if $find (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (local.get $sum)))
