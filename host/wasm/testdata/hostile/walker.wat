;; Its requests and events walk through 120 MiB for ever, in an order that no cache
;; foresees: what gets the most time out of a unit of fuel.
(module
  (import "kai_v1" "emit" (func $emit (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 16) "{\22name\22:\22walker\22,\22version\22:\221\22,\22adapters\22:[{\22provider\22:\22walker\22,\22ops\22:[\22chat\22]}]}")
  ;; What is at 65536 + 120 n is the address of the next place, of 1,048,576.
  (func $walk (result i32)
    (local $n i32) (local $p i32)
    (if (i32.lt_u (memory.size) (i32.const 1921))
      (then
        (drop (memory.grow (i32.const 1920)))
        (loop $next
          (i32.store
            (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 120)))
            (i32.add (i32.const 65536) (i32.mul (i32.const 120)
              (i32.and (i32.add (i32.mul (local.get $n) (i32.const 1664525)) (i32.const 1013904223)) (i32.const 1048575)))))
          (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1048576))))))
    (local.set $p (i32.const 65536))
    (loop $step
      (local.set $p (i32.load (i32.load (i32.load (i32.load (i32.load (i32.load (i32.load (local.get $p)))))))))
      (br $step))
    (unreachable))
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32)
    (drop (call $emit (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 81)))
    i32.const 0)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) (call $walk))
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) (call $walk))
  (func (export "kai_event") (param i32 i32 i32 i32 i32) (result i32) (call $walk)))
