;; Computes for a millisecond or so, a million rounds, and returns ok: what makes more processes worth while.
(component
  (import "wasi:messaging/types@0.2.0-draft" (instance $types
    (export "message" (type $message (sub resource)))
    (type $cases (variant
      (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $error (eq $cases)))))
  (alias export $types "message" (type $message))
  (alias export $types "error" (type $error))
  (core func $drop (canon resource.drop $message))
  (core module $program
    (import "host" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (func (export "handle") (param $message i32) (result i32)
      (local $left i32) (local $state i64)
      (call $drop (local.get $message))
      (local.set $left (i32.const 1000000))
      (local.set $state (i64.const 88172645463325252))
      (loop $round
        ;; xorshift64, which no compiler folds away
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
        (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
        (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      ;; Far from the result at 0, which is zeros, so ok.
      (i64.store (i32.const 1024) (local.get $state))
      (i32.const 0)))
  (core instance $program (instantiate $program (with "host" (instance (export "drop" (func $drop))))))
  (func $handle (param "message" (own $message)) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory (core memory $program "memory"))))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:messaging/incoming-handler@0.2.0-draft" (instance $handler)))
