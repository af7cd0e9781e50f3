;; It imports a global under the name of the one that counts fuel.
(module
  (import "kai_v1" "kai_fuel" (global (mut i64)))
  (memory (export "memory") 1)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32) i32.const 0)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_event") (param i32 i32 i32 i32 i32) (result i32) i32.const 0))
