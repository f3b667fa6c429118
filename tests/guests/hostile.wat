;; Tries what no guest should be able to do to its host. The first byte of a message says what:
;;   L computes without end           F fills its memory without end    C copies its memory without end
;;   A fills a table without end      D calls itself without end        G grows its memory, then traps
;;   B makes a message of 100 MB      N connects to a name of 100 MB    W sets 5,000,000 pairs of metadata
;;   R sets 1,000 pairs that share a value of 1 MB                      P adds pairs of 1 MB to a message without end
;;   Q holds messages of 1 MB without end                               M holds empty messages without end
;;   H asks for the body without end  Y sends to a name that is no UTF-8
;;   S sends without end              T sends ten thousand times, then returns ok
;;   V sends to the name that follows the first byte                    O connects to the client "other"
;;   X drops a message twice          Z uses a message after its drop   E sends a message after its drop
;;   J uses a message as a client     U uses a handle that it made up
;; Anything else: returns ok.
(component
  (import "wasi:messaging/types@0.2.0-draft" (instance $types
    (export "client" (type $client (sub resource)))
    (export "message" (type $message (sub resource)))
    (type $pairs (list (tuple string string)))
    (export "metadata" (type $metadata (eq $pairs)))
    (type $cases (variant
      (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "[static]client.connect" (func (param "name" string) (result (result (own $client) (error $error)))))
    (export "[constructor]message" (func (param "data" (list u8)) (result (own $message))))
    (export "[method]message.data" (func (param "self" (borrow $message)) (result (list u8))))
    (export "[method]message.add-metadata"
      (func (param "self" (borrow $message)) (param "key" string) (param "value" string)))
    (export "[method]message.set-metadata" (func (param "self" (borrow $message)) (param "meta" $metadata)))))
  (alias export $types "client" (type $client))
  (alias export $types "message" (type $message))
  (alias export $types "error" (type $error))
  (import "wasi:messaging/producer@0.2.0-draft" (instance $producer
    (alias outer 1 $client (type $outer-client))
    (export "client" (type $client (eq $outer-client)))
    (alias outer 1 $message (type $outer-message))
    (export "message" (type $message (eq $outer-message)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "send" (func (param "c" (borrow $client)) (param "topic" string) (param "message" (own $message))
      (result (result (error $error)))))))
  (core module $heap
    (memory (export "memory") 2)
    ;; Everything that the host gives is put at the same place, in the second page.
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const 65536)) (then (unreachable)))
      (i32.const 65536)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $connect
    (canon lower (func $types "[static]client.connect") (memory $memory) (realloc $realloc)))
  (core func $new (canon lower (func $types "[constructor]message") (memory $memory)))
  (core func $data (canon lower (func $types "[method]message.data") (memory $memory) (realloc $realloc)))
  (core func $add (canon lower (func $types "[method]message.add-metadata") (memory $memory)))
  (core func $set (canon lower (func $types "[method]message.set-metadata") (memory $memory)))
  (core func $send (canon lower (func $producer "send") (memory $memory) (realloc $realloc)))
  (core func $drop (canon resource.drop $message))

  (core module $program
    (import "heap" "memory" (memory 2))
    (import "host" "connect" (func $connect (param i32 i32 i32)))
    (import "host" "new" (func $new (param i32 i32) (result i32)))
    (import "host" "data" (func $data (param i32 i32)))
    (import "host" "add" (func $add (param i32 i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32)))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (table $table 1000 100000 funcref)
    (data (i32.const 0) "default")
    (data (i32.const 16) "other")
    (data (i32.const 32) "out")
    (data (i32.const 48) "\ff\fe\c3")
    ;; 64: what a call of the host gives back, and what the handler gives back; 65,536: what the host puts into the
    ;; memory; 131,072: what is made here.
    (func $client (result i32)
      (call $connect (i32.const 0) (i32.const 7) (i32.const 64))
      (i32.load (i32.const 68)))
    (func $send-one (param $client i32) (param $message i32)
      (call $send (local.get $client) (i32.const 32) (i32.const 3) (local.get $message) (i32.const 64)))
    (func $made (result i32) (call $new (i32.const 32) (i32.const 3)))
    ;; Room for that many bytes from 131,072 on, all of them "x".
    (func $room (param $bytes i32)
      (local $missing i32)
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 196607)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable)))))
      (memory.fill (i32.const 131072) (i32.const 0x78) (local.get $bytes)))
    ;; That many pairs at 131,072 whose names and values are the same bytes behind them.
    (func $pairs (param $count i32) (param $size i32)
      (local $at i32) (local $end i32)
      (local.set $end (i32.add (i32.const 131072) (i32.shl (local.get $count) (i32.const 4))))
      (call $room (i32.add (local.get $size) (i32.shl (local.get $count) (i32.const 4))))
      (local.set $at (i32.const 131072))
      (loop $more
        (i32.store (local.get $at) (local.get $end))
        (i32.store offset=4 (local.get $at) (i32.const 1))
        (i32.store offset=8 (local.get $at) (local.get $end))
        (i32.store offset=12 (local.get $at) (local.get $size))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $more (i32.lt_u (local.get $at) (local.get $end)))))
    (func $dive (param $depth i32) (result i32)
      (i32.add (i32.const 1) (call $dive (i32.add (local.get $depth) (i32.const 1)))))
    (func $orders (param $order i32) (param $letter i32) (result i32) (i32.eq (local.get $order) (local.get $letter)))
    (func (export "handle") (param $message i32) (result i32)
      (local $order i32) (local $size i32) (local $client i32) (local $count i32) (local $other i32)
      (call $data (local.get $message) (i32.const 64))
      (local.set $order (i32.load8_u (i32.load (i32.const 64))))
      (local.set $size (i32.load (i32.const 68)))
      (i64.store (i32.const 64) (i64.const 0))
      ;; Time and memory of its own.
      (if (call $orders (local.get $order) (i32.const 0x4c (;L;))) (then (loop $ever (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x46 (;F;))) (then
        (call $room (i32.const 200000000))
        (loop $ever (memory.fill (i32.const 131072) (i32.const 1) (i32.const 200000000)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x43 (;C;))) (then
        (call $room (i32.const 200000000))
        (loop $ever (memory.copy (i32.const 131072) (i32.const 100000000) (i32.const 100000000)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x41 (;A;))) (then
        (drop (table.grow $table (ref.null func) (i32.const 99000)))
        (loop $ever (table.fill $table (i32.const 0) (ref.null func) (i32.const 100000)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x44 (;D;))) (then (return (call $dive (i32.const 0)))))
      (if (call $orders (local.get $order) (i32.const 0x47 (;G;))) (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable)))
      ;; Memory of the host.
      (if (call $orders (local.get $order) (i32.const 0x42 (;B;))) (then
        (call $room (i32.const 100000000))
        (drop (call $new (i32.const 131072) (i32.const 100000000)))))
      (if (call $orders (local.get $order) (i32.const 0x4e (;N;))) (then
        (call $room (i32.const 100000000))
        (call $connect (i32.const 131072) (i32.const 100000000) (i32.const 64))))
      (if (call $orders (local.get $order) (i32.const 0x57 (;W;))) (then
        (call $pairs (i32.const 5000000) (i32.const 1))
        (call $set (local.get $message) (i32.const 131072) (i32.const 5000000))))
      (if (call $orders (local.get $order) (i32.const 0x52 (;R;))) (then
        (call $pairs (i32.const 1000) (i32.const 1000000))
        (call $set (local.get $message) (i32.const 131072) (i32.const 1000))))
      (if (call $orders (local.get $order) (i32.const 0x50 (;P;))) (then
        (call $room (i32.const 1000000))
        (loop $ever
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (i32.store (i32.const 131072) (i32.or (local.get $count) (i32.const 0x40404040)))
          (i32.store (i32.const 131072) (i32.and (i32.load (i32.const 131072)) (i32.const 0x7f7f7f7f)))
          (call $add (local.get $message) (i32.const 131072) (i32.const 4) (i32.const 131072) (i32.const 1000000))
          (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x51 (;Q;))) (then
        (call $room (i32.const 1000000))
        (loop $ever (drop (call $new (i32.const 131072) (i32.const 1000000))) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x4d (;M;))) (then (loop $ever (drop (call $made)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x48 (;H;))) (then
        (loop $ever (call $data (local.get $message) (i32.const 64)) (br $ever))))
      ;; Names and sends.
      (if (call $orders (local.get $order) (i32.const 0x59 (;Y;))) (then
        (call $send (call $client) (i32.const 48) (i32.const 3) (call $made) (i32.const 64))))
      (if (call $orders (local.get $order) (i32.const 0x53 (;S;))) (then
        (local.set $client (call $client))
        (loop $ever (call $send-one (local.get $client) (call $made)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x54 (;T;))) (then
        (local.set $client (call $client))
        (local.set $count (i32.const 10000))
        (loop $more
          (call $send-one (local.get $client) (call $made))
          (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
      (if (call $orders (local.get $order) (i32.const 0x56 (;V;))) (then
        (call $room (local.get $size))
        (memory.copy (i32.const 131072) (i32.const 65537) (i32.sub (local.get $size) (i32.const 1)))
        (call $send (call $client) (i32.const 131072) (i32.sub (local.get $size) (i32.const 1)) (call $made)
          (i32.const 64))))
      (if (call $orders (local.get $order) (i32.const 0x4f (;O;))) (then
        (call $connect (i32.const 16) (i32.const 5) (i32.const 64))))
      ;; Handles.
      (if (call $orders (local.get $order) (i32.const 0x58 (;X;))) (then
        (call $drop (local.get $message)) (call $drop (local.get $message))))
      (if (call $orders (local.get $order) (i32.const 0x5a (;Z;))) (then
        (call $drop (local.get $message)) (call $data (local.get $message) (i32.const 64))))
      (if (call $orders (local.get $order) (i32.const 0x45 (;E;))) (then
        (local.set $other (call $made))
        (call $drop (local.get $other)) (call $send-one (call $client) (local.get $other))))
      (if (call $orders (local.get $order) (i32.const 0x4a (;J;))) (then
        (call $send-one (local.get $message) (call $made))))
      (if (call $orders (local.get $order) (i32.const 0x55 (;U;))) (then (call $data (i32.const 77) (i32.const 64))))
      (i32.const 64)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance
      (export "connect" (func $connect)) (export "new" (func $new)) (export "data" (func $data))
      (export "add" (func $add)) (export "set" (func $set)) (export "send" (func $send))
      (export "drop" (func $drop))))))
  (func $handle (param "message" (own $message)) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory $memory)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:messaging/incoming-handler@0.2.0-draft" (instance $handler)))
