;; `upper` for the `events` generation: publishes every event to the queue "out", its body in capitals (ASCII).
(component
  (import "wasi:messaging/types" (instance $types
    (type $fields (record
      (field "specversion" string) (field "ty" string) (field "source" string) (field "id" string)
      (field "data" (option (list u8))) (field "datacontenttype" (option string)) (field "dataschema" (option string))
      (field "subject" (option string)) (field "time" (option string))
      (field "extensions" (option (list (tuple string string))))))
    (export "event" (type (eq $fields)))
    (type $kinds (variant (case "queue" string) (case "topic" string)))
    (export "channel" (type (eq $kinds)))
    (type $cases (variant
      (case "payload-too-large" string) (case "queue-or-topic-not-found" string)
      (case "insufficient-permissions" string) (case "service-unavailable" string) (case "delivery-failed" string)
      (case "connection-lost" string) (case "unsupported-message-format" string) (case "unexpected-error" string)))
    (export "messaging-error" (type (eq $cases)))))
  (alias export $types "event" (type $event))
  (alias export $types "channel" (type $channel))
  (alias export $types "messaging-error" (type $error))
  (import "wasi:messaging/pub" (instance $pub
    (alias outer 1 $event (type $outer-event))
    (export "event" (type $event (eq $outer-event)))
    (alias outer 1 $channel (type $outer-channel))
    (export "channel" (type $channel (eq $outer-channel)))
    (alias outer 1 $error (type $outer-error))
    (export "messaging-error" (type $error (eq $outer-error)))
    (export "publish" (func (param "c" $channel) (param "e" $event) (result (result (error $error)))))))

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
    (canon lower (func $pub "publish") (memory $memory) (realloc $realloc)))

  (core module $program
    (import "heap" "memory" (memory 1))
    (import "heap" "clear" (func $clear))
    (import "host" "publish" (func $publish (param i32 i32)))
    (data (i32.const 7) "out")
    ;; 64: what a call of the host gives back. 128: its arguments, a channel (12 bytes) and an event (104).
    (func (export "handle") (param $event i32) (result i32)
      (local $at i32) (local $end i32) (local $letter i32)
      (if (i32.load8_u offset=32 (local.get $event)) (then
        (local.set $at (i32.load offset=36 (local.get $event)))
        (local.set $end (i32.add (local.get $at) (i32.load offset=40 (local.get $event))))
        (block $done (loop $next
          (br_if $done (i32.eq (local.get $at) (local.get $end)))
          (local.set $letter (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)))
          (if (i32.lt_u (local.get $letter) (i32.const 26))
            (then (i32.store8 (local.get $at) (i32.add (local.get $letter) (i32.const 65)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      ))
      (i32.store8 (i32.const 128) (i32.const 0))
      (i32.store (i32.const 132) (i32.const 7))
      (i32.store (i32.const 136) (i32.const 3))
      (memory.copy (i32.const 140) (local.get $event) (i32.const 104))
      (call $publish (i32.const 128) (i32.const 64))
      (i32.const 64))
    (func (export "handled") (param i32) (call $clear)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance (export "publish" (func $publish))))))
  (func $handle (param "e" $event) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory $memory) (realloc $realloc)
      (post-return (core func $program "handled"))))
  (instance $handler (export "on-receive" (func $handle)))
  (export "wasi:messaging/handler" (instance $handler)))
