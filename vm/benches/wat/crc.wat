;; CRC-32 with a table, over 16 KiB for each of n.
(module (memory 2)
  (func (export "bench") (param $n i32) (result i64) (local $i i32) (local $bit i32) (local $crc i32)
    (loop $table
      (local.set $crc (local.get $i))
      (local.set $bit (i32.const 8))
      (loop $bits
        (if (i32.and (local.get $crc) (i32.const 1))
          (then (local.set $crc (i32.xor (i32.shr_u (local.get $crc) (i32.const 1)) (i32.const 0xedb88320))))
          (else (local.set $crc (i32.shr_u (local.get $crc) (i32.const 1)))))
        (br_if $bits (local.tee $bit (i32.sub (local.get $bit) (i32.const 1)))))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $crc))
      (br_if $table (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (loop $again
      (local.set $crc (i32.const -1))
      (local.set $i (i32.const 0))
      (loop $bytes
        (local.set $crc (i32.xor (i32.shr_u (local.get $crc) (i32.const 8)) (i32.load (i32.shl
          (i32.and (i32.xor (local.get $crc) (i32.load8_u offset=1024 (local.get $i))) (i32.const 255)) (i32.const 2)))))
        (br_if $bytes (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16384))))
      (i32.store offset=1024 (i32.and (local.get $n) (i32.const 1023)) (local.get $crc))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (i64.extend_i32_u (local.get $crc))))
