"""Which interfaces there are besides messaging and the system, and what of the configuration each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dragoman.config.model import HandlerConfig
from dragoman.errors import ComponentError
from dragoman.handlers.component.generations.generation import InterfaceName, Provided, Session, one
from dragoman.handlers.component.interfaces.keyvalue import DEFAULT, Bucket, Keyvalue
from dragoman.handlers.component.interfaces.surroundings import Surroundings
from dragoman.handlers.component.types import Shape
from dragoman.handlers.component.values import Err

KEYVALUE: Final = "wasi:keyvalue"
_CONFIG: Final = "wasi:config"


@dataclass(frozen=True, slots=True)
class Offer:
    """An interface that guests may import.

    Attributes:
        functions: by name, each in every form that is known.
        resources: what it defines.
    """

    functions: Mapping[str, Sequence[Provided]]
    resources: Sequence[str] = ()


#: By package and interface.
Offers = Mapping[tuple[str, str], Offer]


def offers(surroundings: Surroundings, keyvalue: Keyvalue | None) -> Offers:
    """The interfaces, for the guests of one handler.

    Args:
        surroundings: what they are told besides messages.
        keyvalue: the buckets; None where none are granted, so that nobody will call.
    """
    return {**_surroundings(surroundings), **_keyvalue(surroundings, keyvalue)}


def needs(shape: Shape) -> list[str]:
    """What a component may need from its handler's configuration, as far as its imports tell."""
    packages = {name.package for name in map(InterfaceName.parse, shape.imports) if name}
    return [wanted for package, wanted in ((_CONFIG, "config"), (KEYVALUE, "keyvalue")) if package in packages]


def check(shape: Shape, config: HandlerConfig) -> None:
    """Look whether what a component imports is granted.

    Raises:
        ComponentError: it is not.
    """
    if config.keyvalue is None and "keyvalue" in needs(shape):
        raise ComponentError(
            "the component imports wasi:keyvalue, which its handler is not granted",
            expected="`keyvalue = { buckets = [...], path = ... }` in the handler",
        )


_ERROR: Final = "variant { no-such-store, access-denied, other(string) }"
_SELF: Final = "borrow<bucket>"
_VALUE: Final = f"result<option<list<u8>>, {_ERROR}>"
_DONE: Final = f"result<_, {_ERROR}>"
_PAIR: Final = "tuple<string, list<u8>>"


def _page(cursor: str) -> str:
    return f"({_SELF}, option<{cursor}>) -> result<record {{ keys: list<string>, cursor: option<{cursor}> }}, {_ERROR}>"


def _keyvalue(surroundings: Surroundings, keyvalue: Keyvalue | None) -> Offers:
    def does(call: Callable[..., Any], signature: str) -> Provided:
        return Provided(signature, lambda _session, *arguments: call(keyvalue, *arguments), suspends=True)

    def open_(session: Session, identifier: str) -> Bucket | Err:
        assert keyvalue is not None  # noqa: S101 - `check` has looked
        return keyvalue.open(identifier or surroundings.link(session))

    store = Offer(
        {
            "open": one(f"(string) -> result<own<bucket>, {_ERROR}>", open_),
            "[method]bucket.get": (does(Keyvalue.get, f"({_SELF}, string) -> {_VALUE}"),),
            "[method]bucket.set": (does(Keyvalue.set, f"({_SELF}, string, list<u8>) -> {_DONE}"),),
            "[method]bucket.delete": (does(Keyvalue.delete, f"({_SELF}, string) -> {_DONE}"),),
            "[method]bucket.exists": (does(Keyvalue.exists, f"({_SELF}, string) -> result<bool, {_ERROR}>"),),
            "[method]bucket.list-keys": (
                does(Keyvalue.list_keys, _page("u64")),
                does(Keyvalue.list_keys_later, _page("string")),
            ),
        },
        ("bucket",),
    )
    atomics = Offer(
        {
            "increment": (
                does(Keyvalue.increment, f"({_SELF}, string, u64) -> result<u64, {_ERROR}>"),
                does(Keyvalue.increment_later, f"({_SELF}, string, s64) -> result<s64, {_ERROR}>"),
            ),
            "[static]cas.new": (does(Keyvalue.new_cas, f"({_SELF}, string) -> result<own<cas>, {_ERROR}>"),),
            "[method]cas.current": (does(Keyvalue.current, f"(borrow<cas>) -> {_VALUE}"),),
            "swap": (
                does(
                    Keyvalue.swap,
                    f"(own<cas>, list<u8>) -> result<_, variant {{ store-error({_ERROR}), cas-failed(own<cas>) }}>",
                ),
            ),
        },
        ("cas",),
    )
    batch = Offer(
        {
            "get-many": (
                does(Keyvalue.get_many, f"({_SELF}, list<string>) -> result<list<option<{_PAIR}>>, {_ERROR}>"),
            ),
            "set-many": (does(Keyvalue.set_many, f"({_SELF}, list<{_PAIR}>) -> {_DONE}"),),
            "delete-many": (does(Keyvalue.delete_many, f"({_SELF}, list<string>) -> {_DONE}"),),
        }
    )
    return {(KEYVALUE, "store"): store, (KEYVALUE, "atomics"): atomics, (KEYVALUE, "batch"): batch}


def _surroundings(found: Surroundings) -> Offers:
    error = "variant { upstream(string), io(string) }"
    config = Offer(
        {
            "get": one(f"(string) -> result<option<string>, {error}>", found.get),
            "get-all": one(f"() -> result<list<tuple<string, string>>, {error}>", found.get_all),
        }
    )
    levels = "enum { trace, debug, info, warn, error, critical }"
    target, targets = "own<call-target-interface>", "list<own<call-target-interface>>"
    lattice = Offer(
        {
            "[constructor]call-target-interface": one(f"(string, string, string) -> {target}", found.new_target),
            "set-link-name": (
                Provided(f"(string, {targets})", found.set_link),
                Provided(f"(string, {targets}) -> result<_, string>", found.set_link),
            ),
        },
        ("call-target-interface",),
    )
    return {
        (_CONFIG, "runtime"): config,
        (_CONFIG, "store"): config,
        ("wasi:logging", "logging"): Offer({"log": one(f"({levels}, string, string)", found.log)}),
        ("wasmcloud:bus", "lattice"): lattice,
    }


def granted(config: HandlerConfig, keyvalue: Keyvalue | None) -> Offers:
    """The interfaces as a handler is granted them."""
    return offers(Surroundings(config.wasi.config, config.limits.output, DEFAULT), keyvalue)


#: For looking at components.
NOTHING: Final = offers(Surroundings({}, 0, DEFAULT), None)
