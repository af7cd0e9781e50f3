;; An adapter whose events attack the gateway. The first byte of an event's data
;; chooses how; any other byte is answered honestly with the data as TEXT.
(module
  (import "kai_v1" "emit" (func $emit (param i32 i32 i32 i32) (result i32)))
  (import "kai_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (table $t 1 funcref)
  (data (i32.const 16) "{\22name\22:\22hostile\22,\22version\22:\221\22,\22adapters\22:[{\22provider\22:\22hostile\22,\22ops\22:[\22chat\22]}]}")
  (data (i32.const 256) "flood")
  (data (i32.const 272) "a line\0awith \1b[31mcontrols")
  (data (i32.const 304) "\22quoted")
  (data (i32.const 320) "\ff\fe")
  (func (export "kai_abi_v1") (result i32) i32.const 0)
  (func (export "kai_manifest") (result i32)
    (drop (call $emit (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 83)))
    i32.const 0)
  (func (export "kai_buffer") (param i32) (result i32) i32.const 4096)
  (func (export "kai_configure") (param i32) (result i32) i32.const 0)
  (func (export "kai_request") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "kai_response") (param i32 i32 i32 i32 i32) (result i32) i32.const 0)

  ;; endless is a loop without an end.
  (func $endless (loop $l (br $l)))
  ;; twice calls itself 2^n times.
  (func $twice (param $n i32)
    (if (local.get $n) (then
      (call $twice (i32.sub (local.get $n) (i32.const 1)))
      (call $twice (i32.sub (local.get $n) (i32.const 1))))))
  ;; deep recurses until the stack ends.
  (func $deep (param i32) (result i32)
    (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  ;; memory takes pages until there are none, then goes on asking.
  (func $memory (loop $l (drop (memory.grow (i32.const 16))) (br $l)))
  ;; table asks for four billion entries, then for a few, for ever.
  (func $table
    (drop (table.grow $t (ref.null func) (i32.const 0xfffffff0)))
    (loop $l (drop (table.grow $t (ref.null func) (i32.const 1024))) (br $l)))
  ;; fill writes 64 KiB again and again.
  (func $fill (loop $l (memory.fill (i32.const 65536) (i32.const 7) (i32.const 65536)) (br $l)))
  ;; flood emits for ever.
  (func $flood (loop $l
    (drop (call $emit (i32.const 16) (i32.const 0) (i32.const 256) (i32.const 5))) (br $l)))
  ;; chatter logs for ever.
  (func $chatter (loop $l (call $log (i32.const 8) (i32.const 272) (i32.const 25)) (br $l)))

  (func (export "kai_event") (param $op i32) (param $flags i32) (param $state i32) (param $name i32) (param $data i32) (result i32)
    (local $p i32) (local $c i32)
    ;; data lies behind state and name, each rounded up to 8
    (local.set $p (i32.add (i32.const 4096) (i32.add
      (i32.and (i32.add (local.get $state) (i32.const 7)) (i32.const -8))
      (i32.and (i32.add (local.get $name) (i32.const 7)) (i32.const -8)))))
    (local.set $c (i32.load8_u (local.get $p)))
    (if (i32.eq (local.get $c) (i32.const 0x4c)) (then (call $endless)))              ;; L
    (if (i32.eq (local.get $c) (i32.const 0x58)) (then (call $twice (i32.const 64)))) ;; X
    (if (i32.eq (local.get $c) (i32.const 0x52)) (then (drop (call $deep (i32.const 0))))) ;; R
    (if (i32.eq (local.get $c) (i32.const 0x4d)) (then (call $memory)))               ;; M
    (if (i32.eq (local.get $c) (i32.const 0x54)) (then (call $table)))                ;; T
    (if (i32.eq (local.get $c) (i32.const 0x42)) (then (call $fill)))                 ;; B
    (if (i32.eq (local.get $c) (i32.const 0x46)) (then (call $flood)))                ;; F
    (if (i32.eq (local.get $c) (i32.const 0x43)) (then (call $chatter)))              ;; C
    (if (i32.eq (local.get $c) (i32.const 0x55)) (then (unreachable)))                ;; U
    (if (i32.eq (local.get $c) (i32.const 0x47)) (then (return (i32.const 7))))       ;; G: a status that isn't one
    (if (i32.eq (local.get $c) (i32.const 0x50)) (then                                ;; P: payload outside of memory
      (drop (call $emit (i32.const 16) (i32.const 0) (i32.const 131000) (i32.const 4096)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x4e)) (then                                ;; N: negative length
      (drop (call $emit (i32.const 16) (i32.const 0) (i32.const 256) (i32.const -1)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x4b)) (then                                ;; K: a kind that isn't one
      (drop (call $emit (i32.const 99) (i32.const 0) (i32.const 256) (i32.const 5)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x51)) (then                                ;; Q: REQUEST out of an event
      (drop (call $emit (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 5)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x48)) (then                                ;; H: choice 9999
      (drop (call $emit (i32.const 16) (i32.const 0x270f0000) (i32.const 256) (i32.const 5)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x53)) (then                                ;; S: a state over 4 KiB
      (drop (call $emit (i32.const 4) (i32.const 0) (i32.const 4096) (i32.const 4097)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x4a)) (then                                ;; J: USAGE that is no JSON
      (drop (call $emit (i32.const 27) (i32.const 0) (i32.const 256) (i32.const 5)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x57)) (then                                ;; W: raw TEXT that ends the string
      (drop (call $emit (i32.const 144) (i32.const 0) (i32.const 304) (i32.const 7)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x56)) (then                                ;; V: a finish reason that isn't one
      (drop (call $emit (i32.const 28) (i32.const 0) (i32.const 256) (i32.const 5)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 0x59)) (then                                ;; Y: 1 without ERROR
      (return (i32.const 1))))
    (if (i32.eq (local.get $c) (i32.const 0x38)) (then                                ;; 8: TEXT that is no UTF-8
      (drop (call $emit (i32.const 16) (i32.const 0) (i32.const 320) (i32.const 2)))
      (return (i32.const 0))))
    (drop (call $emit (i32.const 16) (i32.const 0) (local.get $p) (local.get $data)))
    i32.const 0)
)
