"""Components put together of several: which of them run without being trusted, and with what in them."""

import pytest

from dragoman.errors import ComponentError, Trapped
from dragoman.handlers.component import capi
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.composed import is_composed, sealed
from dragoman.message import Message
from tests.component.harness import Recorder, opened
from tests.guests.build import component, source
from tests.guests.javascript import shape

#: In the place of the one that componentize-qjs adds; this one takes any text.
LOADER = """
  (component $loader
    (core module $m (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "resolve") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "load") (param i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (type $answer (result string (error string)))
    (func $resolve (param "referrer" string) (param "specifier" string) (result $answer)
      (canon lift (core func $i "resolve") (memory (core memory $i "memory"))
        (realloc (core func $i "realloc"))))
    (func $load (param "path" string) (result $answer)
      (canon lift (core func $i "load") (memory (core memory $i "memory"))
        (realloc (core func $i "realloc"))))
    (instance $found (export "resolve" (func $resolve)) (export "load" (func $load)))
    (export "local:init/module-loader" (instance $found)))
"""
#: A guest that asks it to load something, for each message.
GUEST = """
  (component $guest
    (import "local:init/module-loader" (instance $loader
      (type $answer (result string (error string)))
      (export "load" (func (param "path" string) (result $answer)))))
    (core module $memory (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (core func $load (canon lower (func $loader "load") (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc"))))
    (core module $program
      (import "host" "load" (func $load (param i32 i32 i32)))
      (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
        (call $load (i32.const 0) (i32.const 100) (i32.const 64)) (i32.const 128)))
    (core instance $program (instantiate $program (with "host" (instance (export "load" (func $load))))))
    (type $fields (record (field "subject" string) (field "body" (list u8)) (field "reply-to" (option string))))
    (type $done (result (error string)))
    (func $handle (param "msg" $fields) (result $done)
      (canon lift (core func $program "handle") (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc"))))
    (component $shim
      (type $fields (record (field "subject" string) (field "body" (list u8)) (field "reply-to" (option string))))
      (import "message" (type $message (eq $fields)))
      (import "handle" (func $handle (param "msg" $message) (result (result (error string)))))
      (export $own "broker-message" (type $message))
      (export "handle-message" (func $handle) (func (param "msg" $own) (result (result (error string))))))
    (instance $handler (instantiate $shim (with "message" (type $fields)) (with "handle" (func $handle))))
    (export "wasmcloud:messaging/handler@0.2.0" (instance $handler)))
"""
START = """
  (instance $loads (instantiate $loader))
  (alias export $loads "local:init/module-loader" (instance $found))
  (instance $guest (instantiate $guest (with "local:init/module-loader" (instance $found))))
  (alias export $guest "wasmcloud:messaging/handler@0.2.0" (instance $handler))
  (export "wasmcloud:messaging/handler@0.2.0" (instance $handler))
"""
AGAIN = '(instance $again (instantiate $guest (with "local:init/module-loader" (instance $found))))'


def put_together(*parts: str) -> str:
    """A component of these."""
    return f"(component {' '.join(parts)})"


async def test_a_guest_by_componentize_qjs_needs_no_trust(components: Components, context: Recorder) -> None:
    """It runs as it is: what it is put together with never has anything to do."""
    path = shape("echo")
    assert is_composed(path.read_bytes())
    handler = await opened(components, path)
    asked = Message(b"?", (("reply-to", "inbox"),))
    await handler.handle([asked], context)
    assert [reply.data for _, reply in context.replies] == [b"?"]


async def test_what_answers_for_modules_is_replaced_by_what_traps(components: Components, context: Recorder) -> None:
    """Whatever it does by itself: a guest that calls it hands over nothing. In one that is trusted, it stays."""
    path = component("loads", put_together(LOADER, GUEST, START))
    untrusted = await opened(components, path)
    with pytest.raises(Trapped, match="unreachable"):
        await untrusted.handle([Message(b"?")], context)
    trusted = await opened(components, path, limits={"composed": True})
    await trusted.handle([Message(b"?")], context)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((LOADER, GUEST, START, "(instance (instantiate $loader))"), id="twice"),
        pytest.param((LOADER, GUEST, "(component)", START), id="three"),
        pytest.param((LOADER.replace("local:init/module-loader", "some:other/loader"), GUEST), id="another loader"),
        pytest.param((LOADER, GUEST, START, "(core module)"), id="code of its own"),
        pytest.param((LOADER, GUEST.replace("(component $shim", f"{LOADER} (component $shim"), START), id="deeper"),
        pytest.param((LOADER, GUEST, START, '(instance (export "guest" (component $guest)))'), id="given away"),
        pytest.param(('(import "c" (component $c))', LOADER, GUEST, START), id="imported"),
        pytest.param((LOADER, GUEST, START, AGAIN), id="the guest twice"),
    ],
)
async def test_whatever_else_is_put_together_needs_trust(components: Components, parts: tuple[str, ...]) -> None:
    """Where two parts with code could hand anything to each other; the error says what to add, and where."""
    data = capi.assembled(put_together(*parts))
    assert is_composed(data)
    assert sealed(data) is None
    with pytest.raises(ComponentError, match=r"add `limits = \{ composed = true \}` to \[handlers.handler\]"):
        await opened(components, component("untrusted", put_together(*parts)))


def test_what_is_no_component_is_left_to_the_engine() -> None:
    """Cut off anywhere, or nothing at all: no error of ours."""
    data = capi.assembled(put_together(LOADER, GUEST, START))
    assert sealed(data) is not None
    for size in range(len(data)):
        is_composed(data[:size])
        sealed(data[:size])
    assert not is_composed(source("noop").encode())
