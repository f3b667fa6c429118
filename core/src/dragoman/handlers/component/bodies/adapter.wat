;; The adapter of `wrapper.py`, and what it is given. Text is Latin-1 here: `latin1+utf16` keeps every character below U+0100
;; in one byte, and the host sends no others.
(import "INTERFACE" (instance $bodies
  (alias outer 1 $message (type $outer-message))
  (export "message" (type $message (eq $outer-message)))
  (export "get" (func (param "self" (borrow $message)) (result string)))
  (export "set" (func (param "self" (borrow $message)) (param "data" string)))
  (export "new" (func (param "data" string) (result (own $message))))))
(component $adapter
  (import "message" (type $message (sub resource)))
  (import "get" (func $get (param "self" (borrow $message)) (result string)))
  (import "set" (func $set (param "self" (borrow $message)) (param "data" string)))
  (import "new" (func $new (param "data" string) (result (own $message))))
  (core module $heap
    (memory (export "memory") 1)
    ;; One body at a time: whatever is asked for is at the same place, after room for a result.
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $missing i32)
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (local.get $size) (i32.const 65551)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable)))))
      (i32.const 16)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $get-text (canon lower (func $get) (memory $memory) (realloc $realloc) string-encoding=latin1+utf16))
  (core func $set-text (canon lower (func $set) (memory $memory) string-encoding=latin1+utf16))
  (core func $new-text (canon lower (func $new) (memory $memory) string-encoding=latin1+utf16))
  (core func $drop (canon resource.drop $message))
  (core module $program
    (import "host" "get" (func $get (param i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "get") (param $self i32) (result i32)
      (call $get (local.get $self) (i32.const 0))
      (call $drop (local.get $self))
      (i32.const 0))
    (func (export "set") (param $self i32) (param $data i32) (param $size i32)
      (call $set (local.get $self) (local.get $data) (local.get $size))
      (call $drop (local.get $self))))
  (core instance $program (instantiate $program (with "host" (instance
    (export "get" (func $get-text)) (export "set" (func $set-text)) (export "drop" (func $drop))))))
  (func (export "get") (param "self" (borrow $message)) (result (list u8))
    (canon lift (core func $program "get") (memory $memory)))
  (func (export "set") (param "self" (borrow $message)) (param "data" (list u8))
    (canon lift (core func $program "set") (memory $memory) (realloc $realloc)))
  (func (export "new") (param "data" (list u8)) (result (own $message))
    (canon lift (core func $new-text) (memory $memory) (realloc $realloc))))
(instance $bytes (instantiate $adapter
  (with "message" (type $message))
  (with "get" (func $bodies "get")) (with "set" (func $bodies "set")) (with "new" (func $bodies "new"))))
