;; Its kai_manifest and kai_request need 64 MiB more than its memory begins with,
;; and trap where there is less.
(module
  (import "kai_v1" "emit" (func $emit (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "{\22name\22:\22grows\22,\22version\22:\221\22,\22adapters\22:[{\22provider\22:\22grows\22,\22ops\22:[\22chat\22]}]}")
  (func $grow
    (if (i32.lt_s (memory.grow (i32.const 1024)) (i32.const 0)) (then (unreachable))))
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32)
    (call $grow)
    (drop (call $emit (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 79)))
    i32.const 0)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) (call $grow) i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_event") (param i32 i32 i32 i32 i32) (result i32) i32.const 0))
