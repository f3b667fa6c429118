"""A handler that says itself what it hears, before the host subscribes to anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from dragoman.errors import ConfigError, Unsupported
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

NOWHERE: dict[str, Any] = {"subscribe": []}


class Choosing:
    """A handler that notes what it is given, and wants what the test says."""

    def __init__(self, wanted: Wanted | Callable[[Context], Awaitable[Any]] | None) -> None:
        self._wanted = wanted
        self.asked = 0
        self.seen: list[bytes] = []

    async def wanted(self, context: Context) -> Any:
        """What it hears."""
        self.asked += 1
        return await self._wanted(context) if callable(self._wanted) else self._wanted

    async def __call__(self, message: Message, context: Context) -> None:
        """Note it."""
        self.seen.append(message.data)


async def mistakes(handler: object, **settings: Any) -> list[str]:
    """What the host says instead of starting."""
    broker = Broker()
    with pytest.raises(ConfigError) as wrong:
        async with running(broker, handler, **(NOWHERE | settings)):  # type: ignore[arg-type]
            pytest.fail("it started")
    assert not broker.groups
    return str(wrong.value).splitlines()


async def test_a_handler_hears_what_it_wants() -> None:
    """Queues in its group, topics without one; a channel that is there twice once; asked a single time."""
    broker, handler = Broker(), Choosing(Wanted(("a", "topic:b", "queue:a")))
    put(broker, b"1", channel="a")
    async with running(broker, handler, **NOWHERE, listen=["a", "topic:*"]):
        put(broker, b"2", channel="topic:b")
        await until(lambda: len(handler.seen) == 2)
        groups = {str(channel): list(members) for channel, members in broker.groups.items()}
        assert groups["a"] == ["work"]
        assert len(groups) == 2
        assert "work" not in groups["topic:b"]
    assert (sorted(handler.seen), handler.asked) == ([b"1", b"2"], 1)


async def test_what_it_wants_takes_the_place_of_the_configuration() -> None:
    """Whose channels are granted in any case; of none it is not heard."""
    broker, handler = Broker(), Choosing(Wanted(("b",)))
    put(broker, b"1", channel="a")
    put(broker, b"2", channel="b")
    async with running(broker, handler, subscribe=["a", "b"]):
        await until(lambda: broker.accepted("b"))
    assert (handler.seen, broker.left("a", "work")) == ([b"2"], [b"1"])


async def test_none_leaves_it_to_the_configuration() -> None:
    """As for a handler that says nothing."""
    broker, handler = Broker(), Choosing(None)
    put(broker, b"1")
    async with running(broker, handler):
        await until(lambda: broker.accepted("in"))
    assert (handler.seen, handler.asked) == ([b"1"], 1)


async def test_channels_without_a_grant_are_refused_all_at_once_with_the_line_that_grants_them() -> None:
    """And nothing is subscribed to."""
    handler = Choosing(Wanted(("a", "b", "x.1", "topic:c")))
    (line,) = await mistakes(handler, listen=["x.*"])
    assert line == (
        "handlers.work.listen: the handler wants to hear 'a', 'b', 'topic:c' of the client 'main', and has no grant "
        '(add `listen = ["x.*", "a", "b", "topic:c"]`)'
    )
    (line,) = await mistakes(handler, listen={"other": ["x.*"]})
    assert line == (
        "handlers.work.listen: the handler wants to hear 'a', 'b', 'x.1', 'topic:c' of the client 'main', and has no "
        'grant (add `listen = { "other" = ["x.*"], "main" = ["a", "b", "x.1", "topic:c"] }`)'
    )


async def test_what_a_pattern_grants_holds_no_wildcard_of_a_broker_in_place_of_one_character() -> None:
    """`orders.?` does not grant all that `orders.#` stands for; `orders.*` grants it."""
    for wild in "*#>+":
        (line,) = await mistakes(Choosing(Wanted((f"orders.{wild}",))), listen=["orders.?"])
        assert "has no grant" in line
    async with running(Broker(), Choosing(Wanted(("orders.1",))), **NOWHERE, listen=["orders.?"]):
        pass
    async with running(Broker(), Choosing(Wanted(("orders.#",))), **NOWHERE, listen=["orders.*"]):
        pass


async def test_its_own_dead_letters_are_nothing_that_it_may_hear() -> None:
    """They would come back for ever."""
    (line,) = await mistakes(Choosing(Wanted(("dead",))), listen=["*"], dead_letter="dead")
    assert line.endswith("no grant to hear 'dead': the handler's own dead letters go there, and would come back")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, "it hears nothing: it has no `subscribe`, and does not say what it wants"),
        (Wanted(()), "it wants to hear nothing"),
    ],
)
async def test_a_handler_that_hears_nothing_is_a_mistake(wanted: Wanted | None, expected: str) -> None:
    """Nobody would ever call it."""
    assert await mistakes(Choosing(wanted), listen=["*"]) == [f"handlers.work.python: {expected}"]


@pytest.mark.parametrize("kind", ["error", "type", "hang", "unsent"])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_a_handler_that_can_not_say_what_it_wants_is_a_mistake(kind: str) -> None:
    """It raises, gives something else, takes longer than its deadline, or did not wait for what it sent."""

    async def wanted(context: Context) -> Any:
        if kind == "error":
            raise KeyError("REGION")
        if kind == "hang":
            await until(lambda: False)
        if kind == "unsent":
            context.publish("out", b"x")  # type: ignore[unused-coroutine]
            return Wanted(("a",))
        return ["a"]

    (line,) = await mistakes(Choosing(wanted), listen=["*"], deadline="20ms" if kind == "hang" else "30s")
    expected = {
        "error": "KeyError: 'REGION'",
        "type": "`wanted` gave a list; expected a dragoman.Wanted, or None",
        "hang": "it took longer than its deadline of 0.02 s",
        "unsent": "a send was called but not awaited",
    }[kind]
    assert line.startswith(f"handlers.work.python: could not say what it wants to hear: {expected}")


async def test_a_handler_may_send_while_it_says_what_it_wants() -> None:
    """Within its grants, as always."""
    broker = Broker()

    async def wanted(context: Context) -> Wanted:
        await context.publish("out", b"here")
        return Wanted(("in",))

    async with running(broker, Choosing(wanted)):
        pass
    assert broker.data("out") == [b"here"]


def extensions(broker: Broker) -> list[tuple[str, Mapping[str, str]]]:
    """What the subscriptions asked for, in order."""
    return [(str(channel), dict(options.extensions)) for channel, options in broker.subscribed]


async def test_extensions_reach_the_adapter() -> None:
    """Those of the configuration; and those that are wanted, over which the configuration's take precedence."""
    broker = Broker(extensions=frozenset({"speed", "size"}))
    subscribe = ["in", {"channel": "topic:fast", "extensions": {"speed": "9"}}]
    async with running(broker, Choosing(None), subscribe=subscribe):
        assert sorted(extensions(broker)) == [("in", {}), ("topic:fast", {"speed": "9"})]
    broker.subscribed.clear()
    wanted = Wanted(("in", "topic:fast"), {"speed": "1", "size": "2"})
    async with running(broker, Choosing(wanted), subscribe=subscribe):
        assert sorted(extensions(broker)) == [
            ("in", {"speed": "1", "size": "2"}),
            ("topic:fast", {"speed": "9", "size": "2"}),
        ]


async def test_an_extension_that_the_adapter_does_not_know_ends_the_start() -> None:
    """It is never ignored; everything is closed again."""
    broker = Broker(extensions=frozenset({"speed"}))
    with pytest.raises(Unsupported, match="the dictionary has no settings"):
        async with running(broker, Choosing(Wanted(("in",), {"sped": "1"}))):
            pytest.fail("it started")
    assert not broker.connections
