;; Does what the first byte of a message says:
;;   T traps                      D calls itself without end       L loops without end
;;   G grows its memory, then traps                                O reads outside its memory
;;   E returns the error other("refused")                          K returns ok
;;   F uses a handle that it made up                               C uses a client as a message
;;   U sends a message twice      M makes messages without end     H asks the host for the body without end
;;   S sends without end          P connects to the client "denied" and returns what comes back
;; Its interfaces have no version.
(component
  (import "wasi:messaging/types" (instance $types
    (export "client" (type $client (sub resource)))
    (export "message" (type $message (sub resource)))
    (type $cases (variant
      (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "[static]client.connect" (func (param "name" string) (result (result (own $client) (error $error)))))
    (export "[constructor]message" (func (param "data" (list u8)) (result (own $message))))
    (export "[method]message.data" (func (param "self" (borrow $message)) (result (list u8))))))
  (alias export $types "client" (type $client))
  (alias export $types "message" (type $message))
  (alias export $types "error" (type $error))
  (import "wasi:messaging/producer" (instance $producer
    (alias outer 1 $client (type $outer-client))
    (export "client" (type $client (eq $outer-client)))
    (alias outer 1 $message (type $outer-message))
    (export "message" (type $message (eq $outer-message)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "send" (func (param "c" (borrow $client)) (param "topic" string) (param "message" (own $message))
      (result (result (error $error)))))))
  (core module $heap
    (memory (export "memory") 1)
    ;; Everything that the host gives is put at the same place, in the second half of the page.
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const 32768)) (then (unreachable)))
      (i32.const 32768)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $connect
    (canon lower (func $types "[static]client.connect") (memory $memory) (realloc $realloc)))
  (core func $new (canon lower (func $types "[constructor]message") (memory $memory)))
  (core func $data (canon lower (func $types "[method]message.data") (memory $memory) (realloc $realloc)))
  (core func $send (canon lower (func $producer "send") (memory $memory) (realloc $realloc)))

  (core module $program
    (import "heap" "memory" (memory 1))
    (import "host" "connect" (func $connect (param i32 i32 i32)))
    (import "host" "new" (func $new (param i32 i32) (result i32)))
    (import "host" "data" (func $data (param i32 i32)))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32)))
    (data (i32.const 0) "default")
    (data (i32.const 16) "denied")
    (data (i32.const 32) "refused")
    (data (i32.const 48) "out")
    ;; 64: what a call of the host gives back, and what the handler gives back
    (func $client (result i32)
      (call $connect (i32.const 0) (i32.const 7) (i32.const 64))
      (i32.load (i32.const 68)))
    (func $send-one (param $client i32) (param $message i32)
      (call $send (local.get $client) (i32.const 48) (i32.const 3) (local.get $message) (i32.const 64)))
    (func $is (param $order i32) (param $letter i32) (result i32) (i32.eq (local.get $order) (local.get $letter)))
    (func $dive (param $depth i32) (result i32)
      (i32.add (i32.const 1) (call $dive (i32.add (local.get $depth) (i32.const 1)))))
    (func (export "handle") (param $message i32) (result i32)
      (local $order i32) (local $client i32)
      (call $data (local.get $message) (i32.const 64))
      (local.set $order (i32.load8_u (i32.load (i32.const 64))))
      (i64.store (i32.const 64) (i64.const 0))
      (if (call $is (local.get $order) (i32.const 0x54 (;T;))) (then (unreachable)))
      (if (call $is (local.get $order) (i32.const 0x44 (;D;))) (then (return (call $dive (i32.const 0)))))
      (if (call $is (local.get $order) (i32.const 0x4c (;L;))) (then (loop $ever (br $ever))))
      (if (call $is (local.get $order) (i32.const 0x47 (;G;))) (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (unreachable)))
      (if (call $is (local.get $order) (i32.const 0x4f (;O;))) (then (drop (i32.load (i32.const 0x7ffffff0)))))
      (if (call $is (local.get $order) (i32.const 0x45 (;E;))) (then
        (i32.store (i32.const 64) (i32.const 1))
        (i32.store (i32.const 68) (i32.const 3))
        (i32.store (i32.const 72) (i32.const 32))
        (i32.store (i32.const 76) (i32.const 7))))
      (if (call $is (local.get $order) (i32.const 0x46 (;F;))) (then (call $data (i32.const 77) (i32.const 64))))
      (if (call $is (local.get $order) (i32.const 0x43 (;C;))) (then (call $data (call $client) (i32.const 64))))
      (if (call $is (local.get $order) (i32.const 0x55 (;U;))) (then
        (local.set $client (call $client))
        (call $send-one (local.get $client) (local.get $message))
        (call $send-one (local.get $client) (local.get $message))))
      (if (call $is (local.get $order) (i32.const 0x4d (;M;))) (then
        (loop $ever (drop (call $new (i32.const 0) (i32.const 1))) (br $ever))))
      (if (call $is (local.get $order) (i32.const 0x48 (;H;))) (then
        (loop $ever (call $data (local.get $message) (i32.const 64)) (br $ever))))
      (if (call $is (local.get $order) (i32.const 0x53 (;S;))) (then
        (local.set $client (call $client))
        (loop $ever (call $send-one (local.get $client) (call $new (i32.const 0) (i32.const 1))) (br $ever))))
      (if (call $is (local.get $order) (i32.const 0x50 (;P;))) (then
        (call $connect (i32.const 16) (i32.const 6) (i32.const 64))))
      (i32.const 64)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance
      (export "connect" (func $connect)) (export "new" (func $new))
      (export "data" (func $data)) (export "send" (func $send))))))
  (func $handle (param "message" (own $message)) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory $memory)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:messaging/incoming-handler" (instance $handler)))
