;; Its start function grows a table for ever; a table's entries are the host's memory.
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32) i32.const 0)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_event") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)
  (func $start (loop $l (drop (table.grow $t (ref.null func) (i32.const 60000))) (br $l)))
  (start $start))
