;; The memory of an adapter: everything of one call lies one after the other, behind the place for its result. A body is
;; asked for with an alignment of one and passed on as a text, which needs two: everything gets eight.
(core module $heap-code
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (func (export "reset") (global.set $top (i32.const 1024)))
  (func (export "realloc")
    (param $old i32) (param $old-size i32) (param i32) (param $size i32) (result i32)
    (local $start i32) (local $end i32)
    (if (i32.and (i32.ne (local.get $old) (i32.const 0)) (i32.le_u (local.get $size) (local.get $old-size)))
      (then (return (local.get $old))))
    (local.set $start (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (local.set $end (i32.add (local.get $start) (local.get $size)))
    (if (i32.lt_u (local.get $end) (local.get $start)) (then (unreachable)))
    (block $enough
      (br_if $enough (i32.le_u (local.get $end) (i32.shl (memory.size) (i32.const 16))))
      (br_if $enough (i32.ne (i32.const -1) (memory.grow (i32.sub
        (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16)) (memory.size)))))
      (unreachable))
    (global.set $top (local.get $end))
    (if (local.get $old) (then (memory.copy (local.get $start) (local.get $old) (local.get $old-size))))
    (local.get $start)))
(core instance $heap (instantiate $heap-code))
(alias core export $heap "memory" (core memory $memory))
(alias core export $heap "realloc" (core func $realloc))
