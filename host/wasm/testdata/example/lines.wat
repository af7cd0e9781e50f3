;; An adapter for an upstream that takes OpenAI's request at /chat and answers
;; with server-sent events, each of which is a line of the text.
(module
  (import "kai_v1" "emit" (func $emit (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0)   "{\"name\":\"lines\",\"version\":\"1.0.0\",\"adapters\":[{\"provider\":\"lines\",\"ops\":[\"chat\"],\"plain_content\":false}]}")
  (data (i32.const 128) "POST /chat\ncontent-type: application/json\n")
  (data (i32.const 176) "{\"status\":502,\"code\":\"upstream_error\",\"message\":\"The lines server refused the request.\"}")
  (data (i32.const 272) "stop")
  (data (i32.const 280) "\n")

  (func (export "kai_abi_v1") (result i32) i32.const 0)

  (func (export "kai_manifest") (result i32)
    (drop (call $emit (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 105)))  ;; MANIFEST
    i32.const 0)

  ;; What is above 4096 is the buffer. It grows with the memory.
  (func (export "kai_buffer") (param $min i32) (result i32)
    (local $pages i32)
    (local.set $pages (i32.add (i32.const 1) (i32.shr_u (i32.add (local.get $min) (i32.const 4095)) (i32.const 16))))
    (if (i32.gt_u (local.get $pages) (memory.size))
      (then (if (i32.lt_s (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const 0))
        (then (return (i32.const 0))))))
    i32.const 4096)

  (func (export "kai_configure") (param $options_len i32) (result i32) i32.const 0)

  ;; Where the section behind one of $len bytes at $at begins.
  (func $next (param $at i32) (param $len i32) (result i32)
    (i32.add (local.get $at) (i32.and (i32.add (local.get $len) (i32.const 7)) (i32.const -8))))

  ;; options | body
  (func (export "kai_request") (param $op i32) (param $flags i32) (param $options_len i32) (param $body_len i32) (result i32)
    (drop (call $emit (i32.const 2) (i32.const 1) (i32.const 128) (i32.const 42)))  ;; REQUEST, the answer is SSE
    (drop (call $emit (i32.const 3) (i32.const 0)                                   ;; BODY
      (call $next (i32.const 4096) (local.get $options_len)) (local.get $body_len)))
    i32.const 0)

  ;; state | head | body: an error, for this upstream always streams
  (func (export "kai_response") (param $op i32) (param $http_status i32) (param $state_len i32) (param $head_len i32) (param $body_len i32) (result i32)
    (drop (call $emit (i32.const 29) (i32.const 0) (i32.const 176) (i32.const 88)))  ;; ERROR
    i32.const 1)

  ;; state | name | data: the state is empty before the first line, then one byte
  (func (export "kai_event") (param $op i32) (param $flags i32) (param $state_len i32) (param $name_len i32) (param $data_len i32) (result i32)
    (if (local.get $flags) (then
      (drop (call $emit (i32.const 28) (i32.const 0) (i32.const 272) (i32.const 4)))  ;; FINISH
      (return (i32.const 0))))
    (if (local.get $state_len)
      (then (drop (call $emit (i32.const 16) (i32.const 0) (i32.const 280) (i32.const 1))))   ;; TEXT, a line feed
      (else (drop (call $emit (i32.const 4) (i32.const 0) (i32.const 280) (i32.const 1)))))   ;; STATE
    (drop (call $emit (i32.const 16) (i32.const 0)                                            ;; TEXT
      (call $next (call $next (i32.const 4096) (local.get $state_len)) (local.get $name_len))
      (local.get $data_len)))
    i32.const 0))
