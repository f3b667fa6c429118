"""The conformance kit itself: that it finds what is wrong with an adapter, and says so."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dragoman.adapter import ACCEPT, Capability, Delivery, Outcome, Reject, Release
from dragoman.cli.main import run as dragoman
from dragoman.embedded import EMBEDDED
from dragoman.embedded.subscription import EmbeddedSubscription
from dragoman.errors import PluginError
from dragoman.message import Channel, Message
from dragoman.testing import Harness, Place
from dragoman.testing.cancel import cancelled_at
from dragoman.testing.case import Case
from dragoman.testing.harness import check_harness
from dragoman.testing.ledger import ConformanceError, Ledger
from dragoman.testing.load import load, opened
from dragoman.testing.run import CASES, cases_of, results, run
from dragoman_template import adapter, broker, records, subscription
from dragoman_template.harness import Local
from dragoman_template.plugin import ADAPTER

Patch = pytest.MonkeyPatch
Reader = subscription.Reader


class Impatient(Local):
    """The template's broker, for adapters that are wrong: nobody waits long for what never comes."""

    patience = 2.0
    quiet = 0.1


def _case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


# Each of these breaks the template in one way that real adapters are broken in.


def _loses_what_it_took_when_cancelled(patch: Patch) -> None:
    right = Reader.receive

    async def receive(self: Reader, limit: int) -> Sequence[Delivery]:
        batch = await right(self, limit)
        await asyncio.sleep(0)
        return batch

    patch.setattr(Reader, "receive", receive)


def _swallows_cancellation(patch: Patch) -> None:
    right = Reader.receive

    async def receive(self: Reader, limit: int) -> Sequence[Delivery]:
        for _ in range(50):
            try:
                return await right(self, limit)
            except asyncio.CancelledError:
                await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    patch.setattr(Reader, "receive", receive)


def _keeps_what_is_unsettled_when_closed(patch: Patch) -> None:
    patch.setattr(broker.Group, "leave", lambda self, consumer: None)


def _drops_every_hundredth_message(patch: Patch) -> None:
    right = broker.Place.publish
    published = iter(range(10**9))

    def publish(self: broker.Place, sent: Sequence[records.Record]) -> None:
        right(self, [record for record in sent if next(published) % 100 != 99])

    patch.setattr(broker.Place, "publish", publish)


def _publishes_twice(patch: Patch) -> None:
    right = broker.Place.publish
    patch.setattr(broker.Place, "publish", lambda self, sent: right(self, [*sent, *sent]))


def _knows_no_lanes(patch: Patch) -> None:
    def may_have(self: broker.Group, consumer: object, entry: broker.Entry) -> bool:
        entry.count += 1
        self._held[entry.number] = entry, consumer
        self._held_of_lane[entry.lane] += 1
        return True

    patch.setattr(broker.Group, "_may_have", may_have)


def _puts_what_is_released_at_the_end(patch: Patch) -> None:
    def back(self: broker.Group, entry: broker.Entry) -> None:
        if self.done(entry):
            entry.number += 1_000_000
            self.put(entry)

    patch.setattr(broker.Group, "back", back)


def _forgets_what_is_released(patch: Patch) -> None:
    patch.setattr(broker.Group, "back", broker.Group.done)


def _brings_rejected_ones_again(patch: Patch) -> None:
    right = Reader._settle

    def settle(self: Reader, entry: broker.Entry, outcome: Outcome) -> None:
        right(self, entry, Release() if isinstance(outcome, Reject) else outcome)

    patch.setattr(Reader, "_settle", settle)


def _never_counts(patch: Patch) -> None:
    right = Reader._delivery
    patch.setattr(Reader, "_delivery", lambda self, entry: replace(right(self, entry), count=1))


def _takes_every_option(patch: Patch) -> None:
    patch.setattr(adapter, "_check", lambda channel, options: None)


def _ignores_the_prefetch(patch: Patch) -> None:
    right = Reader.__init__

    def init(self: Reader, place: Any, channel: Channel, options: Any) -> None:
        right(self, place, channel, replace(options, prefetch=10**6))

    patch.setattr(Reader, "__init__", init)


def _lets_a_receive_hang_when_closed(patch: Patch) -> None:
    def close(self: Reader) -> None:
        self._closed = True
        self._group.leave(self)

    patch.setattr(Reader, "close", close)


def _sends_a_part_of_a_batch_that_is_too_large(patch: Patch) -> None:
    right = broker.Broker.publish

    def publish(self: broker.Broker, kind: str, name: str, sent: Sequence[records.Record]) -> None:
        for record in sent:
            right(self, kind, name, [record])

    patch.setattr(broker.Broker, "publish", publish)


def _keeps_one_value_of_each_name(patch: Patch) -> None:
    right = records.to_record

    def to_record(message: Message) -> records.Record:
        record = right(message)
        return replace(record, headers=tuple(dict(record.headers).items()))

    patch.setattr(adapter, "to_record", to_record)


def _crosses_channels(patch: Patch) -> None:
    right = broker.Broker.place
    patch.setattr(broker.Broker, "place", lambda self, kind, name: right(self, kind, "the-only-one"))


def _leaves_a_task_behind(patch: Patch) -> None:
    right = adapter.Connection.__init__

    def init(self: adapter.Connection, url: str, found: broker.Broker) -> None:
        right(self, url, found)
        self._heartbeat = asyncio.ensure_future(asyncio.sleep(30))  # type: ignore[attr-defined]

    patch.setattr(adapter.Connection, "__init__", init)


def _goes_on_after_close(patch: Patch) -> None:
    patch.setattr(adapter.Connection, "_check_open", lambda self: None)


def _gives_an_error_of_its_own(patch: Patch) -> None:
    def dial(url: str, password: str) -> broker.Broker:
        raise KeyError(url)

    patch.setattr(adapter, "dial", dial)


def _loses_everything_with_the_connection(patch: Patch) -> None:
    right = broker.dial

    def dial(url: str, password: str) -> broker.Broker:
        patch.setattr(broker, "_BROKERS", {})
        return right(url, password)

    patch.setattr(adapter, "dial", dial)


def _sends_before_it_looks(patch: Patch) -> None:
    right = EmbeddedSubscription.transact

    async def transact(self: EmbeddedSubscription, outcomes: Any, sends: Any) -> Sequence[Delivery]:
        for channel, messages in sends:
            for message in messages:
                await right(self, [], [(channel, [message])])
        return await right(self, outcomes, [])

    patch.setattr(EmbeddedSubscription, "transact", transact)


def _settles_but_sends_nothing(patch: Patch) -> None:
    right = EmbeddedSubscription.transact
    patch.setattr(EmbeddedSubscription, "transact", lambda self, outcomes, sends: right(self, outcomes, []))


def _sends_but_settles_nothing(patch: Patch) -> None:
    right = EmbeddedSubscription.transact
    patch.setattr(EmbeddedSubscription, "transact", lambda self, outcomes, sends: right(self, [], sends))


def _forgets_the_first_channel(patch: Patch) -> None:
    right = EmbeddedSubscription.transact
    patch.setattr(EmbeddedSubscription, "transact", lambda self, outcomes, sends: right(self, outcomes, sends[-1:]))


def _sends_the_last_channel_first(patch: Patch) -> None:
    right = EmbeddedSubscription.transact
    patch.setattr(EmbeddedSubscription, "transact", lambda self, outcomes, sends: right(self, outcomes, sends[::-1]))


def _forgets_what_is_released_in_a_transaction(patch: Patch) -> None:
    right = EmbeddedSubscription.transact

    async def transact(self: EmbeddedSubscription, outcomes: Any, sends: Any) -> Sequence[Delivery]:
        return await right(self, [(delivery, ACCEPT) for delivery, _ in outcomes], sends)

    patch.setattr(EmbeddedSubscription, "transact", transact)


def _says_that_what_is_done_has_gone_back(patch: Patch) -> None:
    right = EmbeddedSubscription.transact

    async def transact(self: EmbeddedSubscription, outcomes: Any, sends: Any) -> Sequence[Delivery]:
        await right(self, outcomes, sends)
        return [delivery for delivery, _ in outcomes]

    patch.setattr(EmbeddedSubscription, "transact", transact)


def _settles_and_then_sends(patch: Patch) -> None:
    right = EmbeddedSubscription.transact

    async def transact(self: EmbeddedSubscription, outcomes: Any, sends: Any) -> Sequence[Delivery]:
        gone = await right(self, outcomes, [])
        await asyncio.sleep(0)
        return gone or await right(self, [], sends)

    patch.setattr(EmbeddedSubscription, "transact", transact)


def _sends_and_then_settles(patch: Patch) -> None:
    right = EmbeddedSubscription.transact

    async def transact(self: EmbeddedSubscription, outcomes: Any, sends: Any) -> Sequence[Delivery]:
        await right(self, [], sends)
        await asyncio.sleep(0.1)
        return await right(self, outcomes, [])

    patch.setattr(EmbeddedSubscription, "transact", transact)


@pytest.mark.parametrize(
    ("wrong", "case"),
    [
        (_settles_but_sends_nothing, "what_was_sent_comes_and_what_was_settled_does_not"),
        (_sends_but_settles_nothing, "what_was_sent_comes_and_what_was_settled_does_not"),
        (_forgets_the_first_channel, "what_was_sent_comes_and_what_was_settled_does_not"),
        (_says_that_what_is_done_has_gone_back, "what_was_sent_comes_and_what_was_settled_does_not"),
        (_sends_the_last_channel_first, "messages_of_many_transactions_keep_their_order"),
        (_forgets_what_is_released_in_a_transaction, "a_transaction_also_releases"),
        (_sends_before_it_looks, "what_can_not_be_sent_leaves_nothing_behind"),
        (_settles_and_then_sends, "a_cancelled_transaction_is_done_or_not"),
        (_sends_and_then_settles, "a_cancelled_transaction_is_done_or_not"),
        (_sends_and_then_settles, "a_stream_through_a_restart_is_exactly_once"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_the_kit_finds_transactions_that(
    wrong: Callable[[Patch], None], case: str, monkeypatch: Patch, tmp_path: Path
) -> None:
    """Each case about transactions fails where they are wrong in the way that it is about."""

    class Impatient(Harness):
        adapter = EMBEDDED
        settings: ClassVar = {"path": str(tmp_path / "kit.db"), "max_message": "1MiB"}
        too_large = 2**20 + 1
        wrong_password = forbidden = missing = unreachable = None
        patience = 1.5
        quiet = 0.1

    wrong(monkeypatch)
    [result] = [result async for result in results(Impatient(), [_case(f"transactions.{case}")])]
    assert result.outcome == "failed", f"{case} did not notice"
    assert result.reason


@pytest.mark.parametrize(
    ("wrong", "case"),
    [
        (_loses_what_it_took_when_cancelled, "cancelling.cancelled_receive_loses_nothing"),
        (_swallows_cancellation, "delivery.every_subscriber_to_a_topic_gets_every_message"),
        (_keeps_what_is_unsettled_when_closed, "closing.closing_gives_back_what_is_unsettled"),
        (_keeps_what_is_unsettled_when_closed, "closing.a_member_that_goes_leaves_its_deliveries_to_the_others"),
        (_drops_every_hundredth_message, "delivery.what_was_published_before_subscribing_arrives"),
        (_drops_every_hundredth_message, "delivery.fifty_publishers_and_fifty_subscribers"),
        (_publishes_twice, "groups.members_share"),
        (_knows_no_lanes, "order.a_lane_has_one_reader_at_a_time"),
        (_puts_what_is_released_at_the_end, "order.a_released_delivery_keeps_its_place"),
        (_forgets_what_is_released, "settling.a_hundred_rounds_of_release_lose_nothing"),
        (_forgets_what_is_released, "faults.refused_ones_come_again_after_a_restart"),
        (_brings_rejected_ones_again, "settling.what_was_rejected_never_comes_again"),
        (_never_counts, "settling.delivery_counts_grow"),
        (_never_counts, "settling.delivery_counts_include_other_members"),
        (_takes_every_option, "declaration.unknown_extension_is_refused"),
        (_takes_every_option, "declaration.replay_is_refused"),
        (_takes_every_option, "declaration.transactions_are_refused"),
        (_takes_every_option, "declaration.a_queue_needs_a_group"),
        (_ignores_the_prefetch, "delivery.prefetch_bounds_what_is_unsettled"),
        (_lets_a_receive_hang_when_closed, "closing.leaving_ends_a_waiting_receive"),
        (_lets_a_receive_hang_when_closed, "closing.closing_ends_a_waiting_receive"),
        (_sends_a_part_of_a_batch_that_is_too_large, "errors.a_message_over_the_limit_is_too_large"),
        (_keeps_one_value_of_each_name, "delivery.metadata_survives"),
        (_crosses_channels, "delivery.twenty_channels_do_not_cross"),
        (_leaves_a_task_behind, "closing.close_is_idempotent"),
        (_goes_on_after_close, "closing.what_is_closed_says_so"),
        (_gives_an_error_of_its_own, "errors.a_wrong_password_is_authentication_failed"),
        (_loses_everything_with_the_connection, "faults.unsettled_deliveries_come_again_after_a_restart"),
        (_loses_everything_with_the_connection, "closing.closing_gives_back_what_is_unsettled"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_the_kit_finds_an_adapter_that(wrong: Callable[[Patch], None], case: str, monkeypatch: Patch) -> None:
    """Each case fails on an adapter that is wrong in the way that the case is about, and ends in time."""
    [right] = [result async for result in results(Impatient(), [_case(case)])]
    assert right.outcome == "passed", right.reason
    wrong(monkeypatch)
    [result] = [result async for result in results(Impatient(), [_case(case)])]
    assert result.outcome == "failed", f"{case} did not notice"
    assert result.reason
    assert result.seconds < 20
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_what_a_restart_loses_is_named_with_when_it_was_confirmed(monkeypatch: Patch) -> None:
    """And what the consumer did meanwhile: whoever reads it can tell what was lost from what is late."""
    _drops_every_hundredth_message(monkeypatch)
    cases = [_case("faults.confirmed_messages_survive_restarts")]
    [result] = [result async for result in results(Impatient(), cases)]
    found = re.search(
        r"(\d+) of 10000 missing: ids .*; 10000 were confirmed, of which are missing \(0: before any restart\): "
        r"(\d+) after restart 0, (\d+) after restart 1, (\d+) after restart 2; "
        r"the consumer: is subscribed, over its connection number \d$",
        result.reason,
    )
    assert found, result.reason
    missing, *parts = map(int, found.groups())
    assert missing == sum(parts) > 0


def test_every_case_has_a_name_of_its_own_and_says_what_must_be_true() -> None:
    """The report card is made of these sentences."""
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.name for case in CASES if not case.doc.endswith(".")] == []


@pytest.mark.parametrize("capability", list(Capability))
def test_every_capability_has_a_case(capability: Capability) -> None:
    """Declaring something always adds cases; none is optional."""
    assert [case.name for case in CASES if capability in case.needs]


def test_declaring_more_adds_cases_and_declaring_less_demands_a_refusal() -> None:
    """What is declared is tested, what is not must raise `Unsupported`."""
    names = {case.name for case in cases_of(ADAPTER)}
    more = {case.name for case in cases_of(replace(ADAPTER, capabilities=frozenset(Capability)))}
    assert "settling.delay_is_kept" in more - names
    assert "declaration.delay_is_refused" in names - more


async def test_a_capability_that_is_declared_but_not_there_is_found() -> None:
    """An adapter can't get away with a declaration."""

    class Boastful(Impatient):
        adapter = replace(ADAPTER, capabilities=frozenset(Capability) - {Capability.DEAD_LETTER})

    harness = Boastful()
    new = set(cases_of(harness.adapter)) - set(cases_of(ADAPTER))
    outcomes = {result.case.name: result.outcome async for result in results(harness, new)}
    assert len(outcomes) > 10
    assert {name for name, outcome in outcomes.items() if outcome != "failed"} == set()


def test_a_harness_that_leaves_something_out_is_told_so() -> None:
    """Nothing falls away because somebody forgot it."""

    class Forgetful(Harness):
        adapter = ADAPTER
        too_large = None
        missing = None

    with pytest.raises(TypeError, match="must set settings, wrong_password, forbidden, unreachable"):
        check_harness(Forgetful())


def test_a_harness_with_half_a_server_is_told_so() -> None:
    """Who can restart a server can cut it off."""

    class Half(Local):
        async def restart(self) -> None:
            """Nothing to do here."""

    with pytest.raises(TypeError, match="needs `cut` and `restore`"):
        check_harness(Half())


def test_cases_fall_away_only_where_the_harness_says_so() -> None:
    """Each with its reason, for the report card."""

    class Strict(Local):
        forbidden = Place(Channel("forbidden"), {})

    case = _case("errors.a_forbidden_channel_is_permission_denied")
    assert "forbidden" in str(case.falls_away(Local()))
    assert case.falls_away(Strict()) is None
    assert "no server" in str(_case("faults.a_lost_server_is_noticed").falls_away(Local()))


def test_a_ledger_names_what_is_missing() -> None:
    """The first few ids, and how many there are."""
    ledger = Ledger(f"{n:04}" for n in range(5000))
    ledger.add(Delivery(Message.of(f"{n:04}")) for n in range(4997))
    with pytest.raises(ConformanceError, match=r"^3 of 5000 missing: ids 4997, 4998, 4999$"):
        ledger.check()


def test_a_ledger_tells_strangers_and_duplicates() -> None:
    """Both count by identity."""
    ledger = Ledger(["a"])
    ledger.add([Delivery(Message.of("a")), Delivery(Message.of("a"))])
    ledger.check()
    with pytest.raises(ConformanceError, match=r"1 messages came twice.*: ids a"):
        ledger.check(duplicates=False)
    ledger.add([Delivery(Message.of("b"))])
    with pytest.raises(ConformanceError, match=r"never sent here.*: ids b"):
        ledger.check()


async def test_a_call_is_cancelled_at_each_of_its_points_and_no_further() -> None:
    """Three awaits are three points; at the fourth it has returned."""
    reached: list[int] = []

    async def call() -> str:
        for step in range(3):
            reached.append(step)
            await asyncio.sleep(0)
        return "done"

    seen = []
    for point in range(4):
        reached.clear()
        seen.append((*await cancelled_at(call, point, "waiting", 5), list(reached)))
    assert seen == [(True, None, [0]), (True, None, [0, 1]), (True, None, [0, 1, 2]), (False, "done", [0, 1, 2])]


async def test_a_call_is_cancelled_as_something_arrives() -> None:
    """It waits for a future that has its result, and is cancelled all the same: a queue survives that."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    calling = asyncio.ensure_future(cancelled_at(queue.get, 0, "arriving", 5))
    asyncio.get_running_loop().call_later(0.05, queue.put_nowait, "kept")
    assert await calling == (True, None)
    assert queue.get_nowait() == "kept"


async def test_a_case_that_passes_leaves_no_connection_open() -> None:
    """Every adapter of a case is closed after it."""
    opened_: list[Any] = []

    class Watched(Local):
        adapter = replace(ADAPTER, connect=None)  # type: ignore[arg-type]

    async def connect(settings: Any) -> Any:
        opened_.append(await ADAPTER.connect(settings))
        return opened_[-1]

    Watched.adapter = replace(ADAPTER, connect=connect)
    await run(_case("groups.members_on_connections_of_their_own_share"), Watched())
    assert len(opened_) == 2
    assert all(one._closed for one in opened_)


def test_the_kit_works_where_there_is_no_pytest() -> None:
    """Only its pytest plugin needs it; `dragoman conform` does not."""
    script = (
        "import sys; sys.modules['pytest'] = None\n"
        "from dragoman.cli import main\n"
        "main(['conform', 'dragoman_template.harness:Local', '--only', 'declaration.*'])"
    )
    folder = Path(adapter.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _conform(*arguments: str) -> int:
    return dragoman(["conform", *arguments])


def test_conform_prints_a_json_line_for_each_case_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    """And exits with 0 when every case passed."""
    assert _conform("dragoman_template.harness:Local", "--only", "declaration.*") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["outcome"] for line in lines} == {"passed"}
    assert "declaration.type_is_sound" in {line["case"] for line in lines}


def test_conform_exits_with_1_when_a_case_failed(capsys: pytest.CaptureFixture[str], monkeypatch: Patch) -> None:
    """The line of the failed case says why."""
    _never_counts(monkeypatch)
    assert _conform("dragoman_template.harness:Local", "--only", "settling.delivery_counts_grow") == 1
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["outcome"] == "failed"
    assert "expected [1, 2, 3, 4, 5]" in line["reason"]


def test_conform_prints_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: Patch) -> None:
    """With a summary below it; what does not apply is shown, not hidden."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert _conform("dragoman_template.harness:Local", "--only", "errors.*") == 0
    shown = capsys.readouterr().out
    assert "3 passed, 0 failed, 2 not applicable" in shown
    assert "errors.a_wrong_password" in shown


def test_conform_lists_the_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that the adapter's capabilities call for."""
    assert _conform("dragoman_template.harness:Local", "--list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(cases_of(ADAPTER))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("dragoman_template.harness", "expected MODULE:HARNESS"),
        ("no_such_module:Local", "no_such_module can't be imported"),
        ("dragoman_template.harness:Locla", "did you mean 'Local'"),
    ],
)
def test_a_harness_that_is_not_there_is_one_clear_line(reference: str, message: str) -> None:
    """With the nearest name, where there is one."""
    with pytest.raises(PluginError, match=message):
        load(reference)


async def test_a_harness_may_come_from_a_context_manager(tmp_path: Path) -> None:
    """That is where an author starts and stops a server."""
    steps: list[str] = []

    class Started:
        def __enter__(self) -> Local:
            steps.append("started")
            return Local()

        def __exit__(self, *_: object) -> None:
            steps.append("stopped")

    async with opened(Started) as harness:
        assert isinstance(harness, Local)
        assert steps == ["started"]
    assert steps == ["started", "stopped"]
    with pytest.raises(PluginError, match="is no harness"):
        async with opened(lambda: "nothing"):
            pass
