;; What the standard Go compiler expects of WASI (GOOS=wasip1), in terms of the WASI that components import.
;;
;; The usual adapter takes memory of its own by growing the guest's, and Go's runtime believes that all of it is Go's.
;; This one needs 24 bytes, which it has below the data of every Go program: nothing is ever put under address 12288.
;; It gives a guest the clock, random numbers and its standard output and error. There are no files, arguments or variables.
(module
  (import "env" "memory" (memory 0))
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
  (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop (param i32)))
  (import "wasi:io/error@0.2.0" "[resource-drop]error" (func $drop_error (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
  (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))

  ;; Error numbers of WASI: 0 success, 8 no such file, 28 invalid argument.
  (func (export "args_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (if (local.get $clock)
      (then (i64.store (local.get $time) (call $monotonic)))
      (else
        (call $wall (i32.const 8192))
        (i64.store (local.get $time)
          (i64.add
            (i64.mul (i64.load (i32.const 8192)) (i64.const 1000000000))
            (i64.load32_u (i32.const 8200))))))
    (i32.const 0))

  (func (export "random_get") (param $at i32) (param $size i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (i32.store8 (local.get $at) (i32.wrap_i64 (call $random)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $stream i32) (local $at i32) (local $left i32) (local $size i32) (local $total i32)
    (if (i32.eq (local.get $fd) (i32.const 1))
      (then (local.set $stream (call $stdout)))
      (else
        (if (i32.eq (local.get $fd) (i32.const 2))
          (then (local.set $stream (call $stderr)))
          (else (return (i32.const 8))))))
    (block $done
      (loop $part
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $at (i32.load (local.get $parts)))
        (local.set $left (i32.load offset=4 (local.get $parts)))
        (local.set $total (i32.add (local.get $total) (local.get $left)))
        (block $next
          (loop $some ;; a stream takes 4096 bytes at once
            (br_if $next (i32.eqz (local.get $left)))
            (local.set $size
              (select (local.get $left) (i32.const 4096) (i32.lt_u (local.get $left) (i32.const 4096))))
            (call $write (local.get $stream) (local.get $at) (local.get $size) (i32.const 8192))
            (if (i32.load8_u (i32.const 8192)) ;; what can't be written is lost, as with a pipe that is closed
              (then
                (if (i32.eqz (i32.load8_u (i32.const 8196)))
                  (then (call $drop_error (i32.load (i32.const 8200)))))
                (br $next)))
            (local.set $at (i32.add (local.get $at) (local.get $size)))
            (local.set $left (i32.sub (local.get $left) (local.get $size)))
            (br $some)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $part)))
    (call $drop (local.get $stream))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  ;; Nobody waits in here: the time is up at once, and Go's scheduler looks at the clock again.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $count) (i32.const 32)))
    (i32.store (local.get $events) (local.get $count))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) unreachable)

  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 28)))
