"""A handler changes what it hears while it runs: all of a change or nothing, and nothing in hand is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from dragoman.adapter import Capability
from dragoman.errors import ChannelNotFound, Closed, ConnectionLost, NotGranted, NotHeld, PermissionDenied, Unsupported
from dragoman.handlers.handler import Context, Wanted
from dragoman.host.host import Host
from dragoman.host.wishes import CHANNELS
from dragoman.message import Channel, Message
from tests.dictionary.adapter import EVERYTHING
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

ALL = {"listen": ["*", "topic:*"]}


class Ordered:
    """A handler that does with its context what the test wants, one call at a time, and notes all other messages."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.kept: Context | None = None
        self._orders: dict[bytes, asyncio.Future[Context]] = {}
        self._done: dict[bytes, asyncio.Future[None]] = {}

    async def __call__(self, message: Message, context: Context) -> None:
        """Note it; an order stays in hand until the test is done with its context."""
        if message.data in self._orders:
            self._orders[message.data].set_result(context)
            await self._done[message.data]
        else:
            self.seen.append(message.data)

    def order(self, broker: Broker, channel: str = "in") -> Order:
        """A block with the context of a try."""
        data = b"order %d" % len(self._orders)
        loop = asyncio.get_running_loop()
        self._orders[data], self._done[data] = loop.create_future(), loop.create_future()
        put(broker, data, channel=channel)
        return Order(self._orders[data], self._done[data])


class Order:
    """See `Ordered.order`."""

    def __init__(self, context: asyncio.Future[Context], done: asyncio.Future[None]) -> None:
        self._context = context
        self._done = done

    async def __aenter__(self) -> Context:
        return await self._context

    async def __aexit__(self, *_: object) -> None:
        self._done.set_result(None)


def heard(host: Host) -> list[str]:
    """The channels that the handler `work` hears, those that finish what is in hand left out."""
    (runner,) = [runner for runner in host._runners if runner.name == "work"]
    return sorted(str(source.address.channel) for source in runner.subscriptions.sources if not source.retiring)


async def test_a_channel_is_heard_from_when_the_call_returns_until_its_token_is_given_up() -> None:
    """Also after the try in which it was subscribed to; the broker has confirmed it."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, **ALL) as host:
        async with handler.order(broker) as context:
            token = await context.subscribe("topic:news")
            put(broker, b"1", channel="topic:news")
        await until(lambda: handler.seen == [b"1"])
        put(broker, b"2", channel="topic:news")
        await until(lambda: handler.seen == [b"1", b"2"])
        async with handler.order(broker) as context:
            await context.unsubscribe(token)
        assert heard(host) == ["in"]
        await until(lambda: not broker.groups[Channel("news", "topic")])
        put(broker, b"3", channel="topic:news")
        put(broker, b"4")
        await until(lambda: b"4" in handler.seen)
    assert handler.seen == [b"1", b"2", b"4"]


async def test_a_channel_that_is_heard_is_not_subscribed_to_again() -> None:
    """It ends with its last token, and one of the configuration with none."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, **ALL) as host, handler.order(broker) as context:
        tokens = [await context.subscribe(name) for name in ("a", "queue:a", "in")]
        assert len(set(tokens)) == 3
        assert min(map(len, tokens)) >= 20
        assert broker.calls["subscribe"] == 2
        await context.unsubscribe(tokens[0])
        assert heard(host) == ["a", "in"]
        await context.unsubscribe(tokens[2])
        assert heard(host) == ["a", "in"]
        await context.unsubscribe(tokens[1])
        assert heard(host) == ["in"]


async def test_a_token_is_good_once_and_for_its_handler_only() -> None:
    """Made up, used, another handler's: an error, and nothing is done."""
    broker, one, two = Broker(), Ordered(), Ordered()
    handlers = {"work": (one, ALL), "other": (two, {"subscribe": ["in2"], **ALL})}
    async with (
        running(broker, handlers=handlers) as host,
        one.order(broker) as mine,
        two.order(broker, "in2") as others,
    ):
        token, used, foreign = await mine.subscribe("a"), await mine.subscribe("a"), await others.subscribe("a")
        await mine.unsubscribe(used)
        for wrong in (used, foreign, "", token[:-1], "x" * 100_000):
            with pytest.raises(NotHeld, match="this is no token of a subscription of this handler"):
                await mine.unsubscribe(wrong)
        assert heard(host) == ["a", "in"]
        await mine.unsubscribe(token)
        assert heard(host) == ["in"]
        await others.unsubscribe(foreign)


async def test_a_set_takes_the_place_of_all_that_was_heard() -> None:
    """What stays is not touched, what is gone is unsubscribed and its tokens are void, what is new is confirmed."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, subscribe=["in", "b"], **ALL) as host:
        async with handler.order(broker) as context:
            tokens = {name: await context.subscribe(name) for name in ("a", "b", "c")}
            await context.set_subscriptions(Wanted(("a", "in", "topic:d")))
            assert heard(host) == ["a", "in", "topic:d"]
            assert Counter(str(channel) for channel, _ in broker.subscribed) == Counter(
                ["in", "a", "b", "c", "topic:d"]
            )
            for gone in ("b", "c"):
                with pytest.raises(NotHeld):
                    await context.unsubscribe(tokens[gone])
            await context.unsubscribe(tokens["a"])
            assert heard(host) == ["a", "in", "topic:d"]
            put(broker, b"1", channel="topic:d")
            put(broker, b"2", channel="b")
        await until(lambda: b"1" in handler.seen)
        async with handler.order(broker) as context:
            await context.set_subscriptions(Wanted(("in",)))
            assert heard(host) == ["in"]
    assert (handler.seen, broker.left("b", "work")) == ([b"1"], [b"2"])


@pytest.mark.parametrize("error", [ChannelNotFound("no such queue"), PermissionDenied("not yours"), NotGranted("-")])
async def test_when_one_channel_is_refused_the_set_stays_as_it_was(error: Exception) -> None:
    """The handler gets the error; what was opened besides is closed again."""
    broker, handler = Broker(), Ordered()
    settings = {"listen": ["a", "b", "c"]} if isinstance(error, NotGranted) else ALL
    async with running(broker, handler, subscribe=["in", "keep"], **settings) as host:
        async with handler.order(broker) as context:
            wanted = Wanted(("in", "a", "b", "d" if isinstance(error, NotGranted) else "c"))
            if not isinstance(error, NotGranted):
                broker.fail("subscribe", error)
            with pytest.raises(type(error)):
                await context.set_subscriptions(wanted)
            await until(lambda: heard(host) == ["in", "keep"])
            if not isinstance(error, NotGranted):
                broker.fail("subscribe", error)
                with pytest.raises(type(error)):
                    await context.subscribe("a")
            token = await context.subscribe("a")
            assert heard(host) == ["a", "in", "keep"]
            await context.unsubscribe(token)
        for channel in ("keep", "a", "b", "c"):
            put(broker, channel.encode(), channel=channel)
        await until(lambda: b"keep" in handler.seen)
        await until(lambda: len(host._serving) == 2)
    assert handler.seen == [b"keep"]
    assert all(broker.left(channel, "work") == [channel.encode()] for channel in "abc")


async def test_two_sets_at_once_are_made_one_after_the_other() -> None:
    """The later one holds, wholly; nothing is left over of the earlier one."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, **ALL) as host:
        async with handler.order(broker) as one, handler.order(broker) as two:
            with broker.hold("subscribe"):
                first = asyncio.create_task(one.set_subscriptions(Wanted(("in", "a", "b"))))
                await until(lambda: broker.calls["subscribe"] == 3)
                second = asyncio.create_task(two.set_subscriptions(Wanted(("in", "b", "c"))))
                token = asyncio.create_task(one.subscribe("b"))
                await asyncio.sleep(0.01)
                assert not first.done()
                assert not second.done()
            await first
            await second
            assert heard(host) == ["b", "c", "in"]
            await one.unsubscribe(await token)
            assert heard(host) == ["b", "c", "in"]
        await until(lambda: len(host._serving) == 3)


async def test_what_is_in_hand_of_a_channel_that_is_gone_is_finished_and_settled() -> None:
    """What is being handled, what waits in a lane, and what waits for another try; then it is closed."""
    broker, tries, go = Broker(), Counter[bytes](), asyncio.Event()
    put(broker, *(b"lane %d" % number for number in range(20)), channel="a", key="k")
    put(broker, b"fails twice", b"always fails", channel="a")

    async def work(message: Message, context: Context) -> None:
        tries[message.data] += 1
        if message.data == b"leave":
            await context.set_subscriptions(Wanted(("in",)))
            put(broker, b"later", channel="a")
            go.set()
        elif message.data == b"lane 0":
            await go.wait()
        elif message.data == b"always fails" or (message.data == b"fails twice" and tries[message.data] < 3):
            raise RuntimeError("no luck")

    retry = {"attempts": 4, "backoff": "50ms", "jitter": 0}
    async with running(broker, work, subscribe=["in", "a"], retry=retry, dead_letter="dead") as host:
        await until(lambda: host.counters["work"].waiting == 2)
        put(broker, b"leave")
        await until(lambda: len(host._serving) == 1)
        assert host.counters["work"].in_hand == 0
        assert host.counters["work"].released == 0
    lane = [b"lane %d" % number for number in range(20)]
    assert [data for data in broker.accepted("a") if data in lane] == lane
    assert Counter(broker.accepted("a")) == Counter([*lane, b"fails twice", b"always fails"])
    assert (broker.data("dead"), broker.left("a", "work")) == ([b"always fails"], [b"later"])
    assert (tries[b"fails twice"], tries[b"always fails"]) == (3, 4)


async def test_what_would_be_tried_for_ever_goes_back_when_its_channel_is_gone() -> None:
    """After its last attempt, for the next who hears the queue."""
    broker, tries = Broker(), Counter[bytes]()
    put(broker, b"bad", channel="a")

    async def work(message: Message, context: Context) -> None:
        tries[message.data] += 1
        if message.data == b"bad":
            raise RuntimeError("no luck")
        await context.set_subscriptions(Wanted(("in",)))

    async with running(broker, work, subscribe=["in", "a"], retry={"attempts": 3, "backoff": "20ms"}) as host:
        await until(lambda: tries[b"bad"])
        put(broker, b"leave")
        await until(lambda: len(host._serving) == 1)
    assert (tries[b"bad"], broker.left("a", "work")) == (3, [b"bad"])


async def test_a_drain_does_not_wait_for_the_further_tries_of_a_channel_that_is_gone() -> None:
    """They go back, as those of all others do."""
    broker = Broker()
    put(broker, b"bad", channel="a")

    async def work(message: Message, context: Context) -> None:
        if message.data == b"bad":
            raise RuntimeError("no luck")
        await context.set_subscriptions(Wanted(("in",)))

    async with running(broker, work, subscribe=["in", "a"], retry={"backoff": "20s"}) as host:
        await until(lambda: host.counters["work"].waiting)
        put(broker, b"leave")
        await until(lambda: broker.accepted("in"))
        async with asyncio.timeout(1):
            assert not await host.drain(30.0)
    assert broker.left("a", "work") == [b"bad"]


async def test_a_handler_may_leave_the_channel_whose_message_it_is_handling() -> None:
    """Its message is accepted as ever; a host in which nobody hears anything ends."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.set_subscriptions(Wanted(()))

    async with running(broker, work) as host, asyncio.timeout(5):
        await host.wait()
    assert broker.accepted("in") == [b"1"]


async def test_extensions_that_change_open_a_channel_anew() -> None:
    """Those that stay do not."""
    broker, handler = Broker(extensions=frozenset({"speed"})), Ordered()
    async with running(broker, handler, **ALL) as host, handler.order(broker) as context:
        await context.set_subscriptions(Wanted(("in", "a"), {"speed": "1"}))
        await context.set_subscriptions(Wanted(("a", "in"), {"speed": "1"}))
        token = await context.subscribe("a")
        await context.subscribe("a", extensions={"speed": "2"})
        await context.unsubscribe(token)
        assert heard(host) == ["a", "in"]
        assert Counter((str(channel), *options.extensions.values()) for channel, options in broker.subscribed) == {
            ("in",): 1,
            ("in", "1"): 1,
            ("a", "1"): 1,
            ("a", "2"): 1,
        }
        put(broker, b"1", channel="a")
        await until(lambda: handler.seen == [b"1"])


async def test_an_extension_that_reaches_beyond_the_channel_is_for_the_configuration_only() -> None:
    """Else a grant for one channel would be one for all."""
    broker, handler = Broker(extensions=frozenset({"speed", "others"})), Ordered()
    own = ["in", {"channel": "topic:own", "extensions": {"others": "#"}}]
    async with running(broker, handler, subscribe=own, widening=frozenset({"others"}), **ALL):
        assert {str(channel): dict(options.extensions) for channel, options in broker.subscribed} == {
            "in": {},
            "topic:own": {"others": "#"},
        }
        async with handler.order(broker) as context:
            for call in (
                context.subscribe("topic:a", extensions={"others": "#", "speed": "1"}),
                context.set_subscriptions(Wanted(("topic:a",), {"others": "#"})),
            ):
                with pytest.raises(NotGranted, match="no grant to set the extension 'others', which reaches beyond"):
                    await call
            await context.set_subscriptions(Wanted(("topic:own", "in"), {"speed": "1"}))
    assert broker.subscribed[-1][1].extensions or broker.subscribed[-2][1].extensions


async def test_a_connection_that_is_lost_in_the_middle_changes_nothing_or_all() -> None:
    """A subscription that was confirmed is opened again; one that could not be is not heard."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, **ALL) as host:
        async with handler.order(broker) as context:
            with broker.hold("subscribe"):
                changing = asyncio.create_task(context.set_subscriptions(Wanted(("in", "a"))))
                await until(lambda: broker.calls["subscribe"] == 2)
                broker.drop()
            await changing
            assert heard(host) == ["a", "in"]
        put(broker, b"1", channel="a")
        put(broker, b"2")
        await until(lambda: sorted(handler.seen) == [b"1", b"2"])
        broker.drop()
        put(broker, b"3", channel="a")
        await until(lambda: b"3" in handler.seen)


async def test_a_subscription_that_its_broker_does_not_answer_ends_with_the_deadline() -> None:
    """The set is as it was, and the try fails without counting: the broker was away."""
    broker, attempts = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        attempts.append(context.attempt)
        if len(attempts) == 1:
            with broker.hold("subscribe"):
                await context.subscribe("a")

    async with running(broker, work, deadline="50ms", retry={"backoff": "1ms"}, **ALL) as host:
        await until(lambda: broker.accepted("in"))
        assert heard(host) == ["in"]
        await until(lambda: len(host._serving) == 1)
        assert host.counters["work"].last_error == "it took longer than its deadline of 0.05 s"


async def test_a_drain_ends_a_subscription_that_is_waited_for() -> None:
    """The handler is told, and its message goes back."""
    broker, errors = Broker(), list[str]()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        broker.fail("connect", *(ConnectionLost("away") for _ in range(1_000)))
        broker.drop()
        try:
            await context.subscribe("a")
        except Closed as error:
            errors.append(str(error))
            raise

    async with running(broker, work, **ALL) as host:
        await until(lambda: broker.calls["subscribe"] == 1 and broker.calls["connect"] > 2)
        async with asyncio.timeout(2):
            await host.drain(30.0)
    assert errors == ["the host is stopping: nothing is subscribed to"]
    assert broker.left("in", "work") == [b"1"]


async def test_what_a_handler_may_hear_is_bounded() -> None:
    """By the number of channels and of tokens; an error says so, and what it has stays."""
    broker, handler = Broker(), Ordered()
    async with running(broker, handler, **ALL) as host, handler.order(broker) as context:
        with pytest.raises(NotGranted, match=f"no grant to hear more than {CHANNELS} channels"):
            await context.set_subscriptions(Wanted(tuple(f"a{number}" for number in range(CHANNELS + 1))))
        await context.set_subscriptions(Wanted(tuple(f"a{number}" for number in range(CHANNELS))))
        with pytest.raises(NotGranted, match="no grant to subscribe to 'b' besides all that it hears"):
            await context.subscribe("b")
        await context.set_subscriptions(Wanted(("in",)))
        with pytest.raises(NotGranted, match="besides all that it hears"):
            await asyncio.gather(*(context.subscribe("in") for _ in range(10_000)))
        assert heard(host) == ["in"]


@pytest.mark.parametrize("name", ["secret", "dead", ""])
async def test_what_is_not_granted_is_refused(name: str) -> None:
    """With the patterns that are; also where the handler's own dead letters go."""
    broker, handler = Broker(), Ordered()
    settings = {"listen": ["orders.*", "dead"], "dead_letter": "dead"}
    async with running(broker, handler, **settings), handler.order(broker) as context:
        for call in (context.subscribe(name), context.set_subscriptions(Wanted(("in", name)))):
            with pytest.raises(NotGranted) as refused:
                await call
        if name == "secret":
            assert str(refused.value) == (
                "handlers.work.listen: no grant to hear 'secret' of the client 'main'; "
                "expected a channel that matches 'orders.*' or 'dead'"
            )
    assert broker.calls["subscribe"] == 1


async def test_a_kind_that_the_broker_does_not_have_is_refused() -> None:
    """By its capabilities, before it is asked."""
    broker, handler = Broker(), Ordered()
    settings = {"listen": ["*", "topic:*"], "capabilities": EVERYTHING - {Capability.TOPIC}}
    async with running(broker, handler, **settings), handler.order(broker) as context:
        with pytest.raises(Unsupported, match="topic"):
            await context.subscribe("topic:a")
    assert broker.calls["subscribe"] == 1


async def test_a_context_changes_nothing_when_its_try_has_ended_or_the_host_only_asks() -> None:
    """An error says what to do instead."""
    broker, kept, refused = Broker(), list[Context](), list[str]()

    class Work:
        async def wanted(self, context: Context) -> Wanted:
            """Try what is not for now."""
            with pytest.raises(Closed, match="say it by what `wanted` returns") as error:
                await context.subscribe("a")
            refused.append(str(error.value))
            return Wanted(("in",))

        async def __call__(self, message: Message, context: Context) -> None:
            """Keep the context."""
            kept.append(context)

    put(broker, b"1")
    async with running(broker, Work(), **ALL):
        await until(lambda: kept)
        await until(lambda: broker.accepted("in"))
        for call in (kept[0].subscribe("a"), kept[0].unsubscribe("x"), kept[0].set_subscriptions(Wanted(()))):
            with pytest.raises(Closed):
                await call
    assert len(refused) == 1
