;; It lacks two exports and has one with other parameters.
(module
  (memory (export "memory") 1)
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32) i32.const 0)
  (func (export "kai_buffer") (param i64) (result i32) i32.const 4096)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) i32.const 0))
