"""The right error from the tree."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    ChannelNotFound,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
)
from dragoman.message import Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.harness import Place
from dragoman.testing.ledger import ConformanceError, Ledger, expect


@case(wants=("too_large",))
async def a_message_over_the_limit_is_too_large(bench: Bench) -> None:
    """It raises `PayloadTooLarge`, nothing of its batch was sent, and the connection goes on."""
    channel, ledger = await bench.channel(), Ledger(["after"])
    batch = [Message.of("before"), Message(bytes(bench.harness.too_large or 0))]
    async with bench.subscribed(channel) as subscription:
        await _expect(bench, PayloadTooLarge, bench.adapter.publish(channel, batch), "publishing it")
        await bench.publish(channel, ["after"])
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


@case(wants=("wrong_password",))
async def a_wrong_password_is_authentication_failed(bench: Bench) -> None:
    """Connecting raises `AuthenticationFailed`, and the message does not tell the password."""
    settings = bench.harness.wrong_password or {}
    error = await _expect(bench, AuthenticationFailed, bench.connect(settings), "connecting")
    told = [name for name in _secrets(bench, settings) if name in f"{error} {error!r}"]
    expect(not told, "the error's message tells a secret")


@case(wants=("unreachable",))
async def an_unreachable_broker_is_connection_lost(bench: Bench) -> None:
    """Connecting raises `ConnectionLost`."""
    await _expect(bench, ConnectionLost, bench.connect(bench.harness.unreachable), "connecting")


@case(wants=("forbidden",))
async def a_forbidden_channel_is_permission_denied(bench: Bench) -> None:
    """Publishing and subscribing raise `PermissionDenied`."""
    if place := bench.harness.forbidden:
        await _expect_everywhere(bench, PermissionDenied, place)


@case(wants=("missing",))
async def a_missing_channel_is_channel_not_found(bench: Bench) -> None:
    """Publishing and subscribing raise `ChannelNotFound`."""
    if place := bench.harness.missing:
        await _expect_everywhere(bench, ChannelNotFound, place)


async def _expect_everywhere(bench: Bench, kind: type[BrokerError], place: Place) -> None:
    adapter = await bench.connect(place.settings)
    publishing = adapter.publish(place.channel, [Message.of("1")])
    await _expect(bench, kind, publishing, f"publishing to {place.channel}")
    opening = _enter(adapter.subscribe(place.channel, bench.options(place.channel)))
    await _expect(bench, kind, opening, f"subscribing to {place.channel}")


async def _enter(context: AbstractAsyncContextManager[Any]) -> None:
    async with context:
        pass


async def _expect(bench: Bench, kind: type[BrokerError], call: Awaitable[object], what: str) -> BrokerError:
    try:
        await bench.within(call, f"{what}: {kind.__name__}")
    except kind as error:
        return error
    except Exception as error:
        raise ConformanceError(f"{what} raised {error!r}; expected {kind.__name__}") from error
    raise ConformanceError(f"{what} succeeded; expected {kind.__name__}")


def _secrets(bench: Bench, settings: Mapping[str, Any]) -> list[str]:
    """The values of the settings that the adapter's model keeps secret."""
    config = bench.harness.adapter.config.model_validate(dict(settings))
    values = (getattr(config, name) for name in type(config).model_fields)
    return [value.get_secret_value() for value in values if hasattr(value, "get_secret_value")]
