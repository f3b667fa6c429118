;; Drops every message and returns ok: what a message costs before a guest does anything with it.
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
    ;; The result is at 0: zeros, so ok.
    (func (export "handle") (param $message i32) (result i32)
      (call $drop (local.get $message))
      (i32.const 0)))
  (core instance $program (instantiate $program (with "host" (instance (export "drop" (func $drop))))))
  (func $handle (param "message" (own $message)) (result (result (error $error)))
    (canon lift (core func $program "handle") (memory (core memory $program "memory"))))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:messaging/incoming-handler@0.2.0-draft" (instance $handler)))
