;; It asks for a socket and for a function that nobody has.
(module
  (import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "system" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32) i32.const 0)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_event") (param i32 i32 i32 i32 i32) (result i32) i32.const 0))
