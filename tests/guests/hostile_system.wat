;; Uses what it has of the system without measure. The first byte of a message says how:
;;   O prints without end             E ends its program with success    F ends it with failure
;;   R asks for 64 MB of randomness without end                         N asks for 8 bytes of it without end
;;   S opens sockets without end      W waits on a clock for ever        C reads the clock without end
;; Anything else: returns ok.
(component
  (import "wasi:messaging/types@0.2.0-draft" (instance $types
    (export "message" (type $message (sub resource)))
    (type $cases (variant
      (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "[method]message.data" (func (param "self" (borrow $message)) (result (list u8))))))
  (alias export $types "message" (type $message))
  (alias export $types "error" (type $error))
  (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $io-failure))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $io-failure (type $outer-failure))
    (export "error" (type $failure (eq $outer-failure)))
    (type $ends (variant (case "last-operation-failed" (own $failure)) (case "closed")))
    (export "stream-error" (type $end (eq $ends)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $end)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $outer-stream))
    (export "output-stream" (type $own-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $own-stream))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $own-pollable (eq $outer-pollable)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $own-pollable))))))
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $code (type $outer-code))
    (export "error-code" (type $own-code (eq $outer-code)))
    (alias outer 1 $family (type $outer-family))
    (export "ip-address-family" (type $own-family (eq $outer-family)))
    (alias outer 1 $socket (type $outer-socket))
    (export "tcp-socket" (type $own-socket (eq $outer-socket)))
    (export "create-tcp-socket"
      (func (param "address-family" $own-family) (result (result (own $own-socket) (error $own-code)))))))

  (core module $heap
    (memory (export "memory") 2)
    ;; Everything that the host gives is put at the same place, in the second page.
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $missing i32)
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (local.get $size) (i32.const 131071)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable)))))
      (i32.const 65536)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $data (canon lower (func $types "[method]message.data") (memory $memory) (realloc $realloc)))
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $print
    (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory) (realloc $realloc)))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
  (core func $number (canon lower (func $random "get-random-u64")))
  (core func $now (canon lower (func $clock "now")))
  (core func $later (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $socket (canon lower (func $create "create-tcp-socket") (memory $memory)))

  (core module $program
    (import "heap" "memory" (memory 2))
    (import "host" "data" (func $data (param i32 i32)))
    (import "host" "stdout" (func $stdout (result i32)))
    (import "host" "print" (func $print (param i32 i32 i32 i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (import "host" "number" (func $number (result i64)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "later" (func $later (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "socket" (func $socket (param i32 i32)))
    (data (i32.const 0) "An endless story.\n")
    ;; 64: what a call of the host gives back, and what the handler gives back
    (func $orders (param $order i32) (param $letter i32) (result i32) (i32.eq (local.get $order) (local.get $letter)))
    (func (export "handle") (param $message i32) (result i32)
      (local $order i32) (local $stream i32)
      (call $data (local.get $message) (i32.const 64))
      (local.set $order (i32.load8_u (i32.load (i32.const 64))))
      (i64.store (i32.const 64) (i64.const 0))
      (if (call $orders (local.get $order) (i32.const 0x4f (;O;))) (then
        (local.set $stream (call $stdout))
        (loop $ever (call $print (local.get $stream) (i32.const 0) (i32.const 18) (i32.const 64)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x45 (;E;))) (then (call $exit (i32.const 0))))
      (if (call $orders (local.get $order) (i32.const 0x46 (;F;))) (then (call $exit (i32.const 1))))
      (if (call $orders (local.get $order) (i32.const 0x52 (;R;))) (then
        (loop $ever (call $bytes (i64.const 64000000) (i32.const 64)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x4e (;N;))) (then
        (loop $ever (drop (call $number)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x53 (;S;))) (then
        (loop $ever (call $socket (i32.const 0) (i32.const 64)) (br $ever))))
      (if (call $orders (local.get $order) (i32.const 0x57 (;W;))) (then
        (call $block (call $later (i64.const 1000000000000)))))
      (if (call $orders (local.get $order) (i32.const 0x43 (;C;))) (then (loop $ever (drop (call $now)) (br $ever))))
      (i32.const 64)))
  (core instance $program (instantiate $program
    (with "heap" (instance $heap))
    (with "host" (instance
      (export "data" (func $data)) (export "stdout" (func $stdout)) (export "print" (func $print))
      (export "exit" (func $exit)) (export "bytes" (func $bytes)) (export "number" (func $number))
      (export "now" (func $now)) (export "later" (func $later)) (export "block" (func $block))
      (export "socket" (func $socket))))))
  (func $handle (param "message" (own $message)) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory $memory)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:messaging/incoming-handler@0.2.0-draft" (instance $handler)))
