;; An adapter that gives the gateway whatever table it is told to. An event of at least 12
;; bytes, or the first frame of kai_events, is a script: three words in little endian, the
;; address and the number of emit_all's records, and what to do then. That is to return the
;; word as the status, but for 99, which traps, 98, which loops for ever, and 97, which
;; traps in kai_events only. The buffer is at 4096. A shorter event is TEXT.
(module
  (import "kai_v1" "emit" (func $emit (param i32 i32 i32 i32) (result i32)))
  (import "kai_v1" "emit_all" (func $emit_all (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "{\22name\22:\22tables\22,\22version\22:\221\22,\22adapters\22:[{\22provider\22:\22tables\22,\22ops\22:[\22chat\22]}]}")
  (data (i32.const 256) "POST /chat\0acontent-type: application/json\0a")
  (func (export "kai_abi_v1") (result i32) i32.const 5)
  (func (export "kai_manifest") (result i32)
    (drop (call $emit (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 81)))
    i32.const 0)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32)
    (drop (call $emit (i32.const 2) (i32.const 1) (i32.const 256) (i32.const 42)))
    (drop (call $emit (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 0)))
    i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)

  (func $pad (param i32) (result i32)
    (i32.and (i32.add (local.get 0) (i32.const 7)) (i32.const -8)))

  ;; play runs the script at $p. $mild is the word that does not trap.
  (func $play (param $p i32) (param $mild i32) (result i32)
    (local $then i32)
    (local.set $then (i32.load offset=8 (local.get $p)))
    (drop (call $emit_all (i32.load (local.get $p)) (i32.load offset=4 (local.get $p))))
    (if (i32.eq (local.get $then) (local.get $mild)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $then) (i32.const 98)) (then (loop $l (br $l))))
    (if (i32.or (i32.eq (local.get $then) (i32.const 99)) (i32.eq (local.get $then) (i32.const 97))) (then (unreachable)))
    (local.get $then))

  (func (export "kai_event") (param $op i32) (param $flags i32) (param $state i32) (param $name i32) (param $data i32) (result i32)
    (local $p i32)
    (local.set $p (i32.add (i32.add (i32.const 4096) (call $pad (local.get $state))) (call $pad (local.get $name))))
    (if (i32.ge_u (local.get $data) (i32.const 12)) (then (return (call $play (local.get $p) (i32.const 97)))))
    (if (local.get $data) (then (drop (call $emit (i32.const 16) (i32.const 0) (local.get $p) (local.get $data)))))
    i32.const 0)

  (func (export "kai_events") (param $op i32) (param $state i32) (param $frames i32) (result i32)
    (call $play (i32.add (i32.add (i32.const 4096) (call $pad (local.get $state))) (i32.const 4)) (i32.const -1))))
