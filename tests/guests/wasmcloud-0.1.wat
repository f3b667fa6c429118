;; wasmCloud's interface of version 0.1, whose bodies may be missing: asks the subject of a message for two replies within
;; 250 ms, or without limits where the body is empty, and publishes the first reply to "out".
(component
  (import "wasmcloud:messaging/types@0.1.0" (instance $types
    (type $fields (record
      (field "subject" string) (field "body" (option (list u8))) (field "reply-to" (option string))))
    (export "broker-message" (type (eq $fields)))))
  (alias export $types "broker-message" (type $message))
  (import "wasmcloud:messaging/consumer@0.1.0" (instance $consumer
    (alias outer 1 $message (type $outer-message))
    (export "broker-message" (type $message (eq $outer-message)))
    (export "request-multi" (func
      (param "subject" string) (param "body" (option (list u8))) (param "timeout-ms" u32) (param "max-results" u32)
      (result (result (list $message) (error string)))))
    (export "publish" (func (param "msg" $message) (result (result (error string)))))))

  (core module $heap
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "clear") (global.set $top (i32.const 1024)))
    ;; Hands out the next free bytes, eight-byte aligned, and asks for more pages when they run out.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param i32) (param $size i32) (result i32)
      (local $start i32)
      (local.set $start (global.get $top))
      (global.set $top (i32.and (i32.add (i32.add (local.get $start) (local.get $size)) (i32.const 7)) (i32.const -8)))
      (block $enough (loop $more
        (br_if $enough (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $more (i32.ne (memory.grow (memory.size)) (i32.const -1)))
        (unreachable)))
      (memory.copy (local.get $start) (local.get $old) (local.get $old-size))
      (local.get $start)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $publish
    (canon lower (func $consumer "publish") (memory $memory) (realloc $realloc)))
  (core func $request
    (canon lower (func $consumer "request-multi") (memory $memory) (realloc $realloc)))

  (core module $program
    (import "heap" "memory" (memory 1))
    (import "heap" "clear" (func $clear))
    (import "host" "publish" (func $publish (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "request" (func $request (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (data (i32.const 7) "out")
    ;; 64: what a call of the host gives back
    (func (export "handle")
      (param $subject i32) (param $subject-size i32) (param $has-body i32) (param $body i32) (param $size i32)
      (param $has-reply-to i32) (param $reply-to i32) (param $reply-to-size i32) (result i32)
      (local $first i32)
      (call $request (local.get $subject) (local.get $subject-size)
        (local.get $has-body) (local.get $body) (local.get $size)
        (select (i32.const 250) (i32.const 0) (local.get $size)) (select (i32.const 2) (i32.const 0) (local.get $size))
        (i32.const 64))
      ;; A record takes 32 bytes: subject 0, body 8, reply-to 20.
      (local.set $first (i32.load (i32.const 68)))
      (call $publish (i32.const 7) (i32.const 3)
        (i32.load8_u (i32.add (local.get $first) (i32.const 8)))
        (i32.load (i32.add (local.get $first) (i32.const 12)))
        (i32.load (i32.add (local.get $first) (i32.const 16)))
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
      (i32.const 64))
    (func (export "handled") (param i32) (call $clear)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance (export "publish" (func $publish)) (export "request" (func $request))))))
  (func $handle (param "msg" $message) (result (result (error string)))
    (canon lift (core func $program "handle") (memory $memory) (realloc $realloc)
      (post-return (core func $program "handled"))))
  (instance $handler (export "handle-message" (func $handle)))
  (export "wasmcloud:messaging/handler@0.1.0" (instance $handler)))
