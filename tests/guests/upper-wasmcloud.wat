;; `upper` for wasmCloud's interface: publishes every body to "out" in capitals (ASCII).
(component
  (import "wasmcloud:messaging/types@0.2.0" (instance $types
    (type $fields (record (field "subject" string) (field "body" (list u8)) (field "reply-to" (option string))))
    (export "broker-message" (type (eq $fields)))))
  (alias export $types "broker-message" (type $message))
  (import "wasmcloud:messaging/consumer@0.2.0" (instance $consumer
    (alias outer 1 $message (type $outer-message))
    (export "broker-message" (type $message (eq $outer-message)))
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

  (core module $program
    (import "heap" "memory" (memory 1))
    (import "heap" "clear" (func $clear))
    (import "host" "publish" (func $publish (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (data (i32.const 7) "out")
    ;; 64: what a call of the host gives back
    (func (export "handle")
      (param $subject i32) (param $subject-size i32) (param $body i32) (param $size i32)
      (param $has-reply-to i32) (param $reply-to i32) (param $reply-to-size i32) (result i32)
      (local $at i32) (local $end i32) (local $letter i32)
      (local.set $at (local.get $body))
      (local.set $end (i32.add (local.get $at) (local.get $size)))
      (block $done (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (local.set $letter (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)))
        (if (i32.lt_u (local.get $letter) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.add (local.get $letter) (i32.const 65)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
      (call $publish (i32.const 7) (i32.const 3) (local.get $body) (local.get $size)
        (local.get $has-reply-to) (local.get $reply-to) (local.get $reply-to-size) (i32.const 64))
      (i32.const 64))
    (func (export "handled") (param i32) (call $clear)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance (export "publish" (func $publish))))))
  (func $handle (param "msg" $message) (result (result (error string)))
    (canon lift (core func $program "handle") (memory $memory) (realloc $realloc)
      (post-return (core func $program "handled"))))
  (instance $handler (export "handle-message" (func $handle)))
  (export "wasmcloud:messaging/handler@0.2.0" (instance $handler)))
