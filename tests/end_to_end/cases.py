"""What the suite for every generation on every broker asks of a guest."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.end_to_end.generations import Guest, Order
from tests.host.running import until

COUNT = 20


async def delivers_and_sends(guest: Guest) -> None:
    """Every message comes once, from its channel, and what the guest sends for it arrives once."""
    bodies = [str(number) for number in range(COUNT)]
    for body in bodies:
        await guest.order(guest.says.send(guest.out, body))
    await guest.collected.all(guest.out, bodies)
    assert guest.says.heard(await guest.answer({"do": "echo"})) == guest.into
    assert guest.collected.times(guest.out) == Counter(bodies)
    await guest.idle()
    assert guest.host.counters["guest"].handled == COUNT + 1


async def fails(guest: Guest) -> None:
    """A message whose handler returns an error is tried again, and then a dead letter that says why."""
    says, number = guest.says, 3
    texts = [f"no {each}" for each in range(number)]
    orders = [says.fail(text) if says.fail else says.send(guest.forbidden, text) for text in texts]
    sent = [await guest.order(order) for order in orders]
    await guest.collected.all(guest.dead, sent)
    letters = {message.data.decode(): message for message in guest.collected.messages[guest.dead]}
    for text, body in zip(texts, sent, strict=True):
        letter = letters[body]
        assert (text if says.fail else "permission-denied: ") in str(letter.get("dragoman-reason"))
        assert (letter.get("dragoman-attempts"), letter.get("dragoman-channel")) == ("2", f"queue:{guest.into}")
    assert guest.collected.times(guest.dead) == Counter(sent)


async def traps(guest: Guest) -> None:
    """A guest that traps fails its message alone; the next one is handled."""
    body = await guest.order({"do": "crash"})
    after = guest.says.send(guest.out, "after the trap")
    await guest.order(after)
    await guest.collected.all(guest.dead, [body])
    await guest.collected.all(guest.out, ["after the trap"])
    (letter,) = (one for one in guest.collected.messages[guest.dead] if one.data.decode() == body)
    assert "unreachable" in str(letter.get("dragoman-reason"))
    assert guest.collected.times(guest.out)["after the trap"] == 1


async def is_refused(guest: Guest) -> None:
    """What is not granted is the guest's error for that, and nothing reaches the channel."""
    answer = await guest.answer({**guest.says.send(guest.forbidden, "refused"), "catch": True})
    _is_refusal(guest, answer)
    await guest.client.publish(guest.forbidden, b"allowed")
    await guest.collected.all(guest.forbidden, ["allowed"])
    assert guest.collected.times(guest.forbidden) == Counter(["allowed"])


async def changes_what_it_hears(guest: Guest) -> None:
    """While messages come: what is new is heard, what is gone is not, and none of them is lost or doubled.

    On Kafka each change lets the group settle anew: the order that asked for it may come again, and gets another token.
    """
    says = guest.says
    changes = says.changes
    assert changes is not None
    _is_refusal(guest, await guest.answer({**changes.hear(guest.into, guest.forbidden), "catch": True}))
    before, meanwhile, both = ([f"{word} {number}" for number in range(COUNT)] for word in ("first", "then", "both"))
    for body in before:
        await guest.order(says.send(guest.out, body))
    await guest.collected.all(guest.out, before)
    await guest.answer(changes.hear(guest.into, guest.more))
    for one, other in zip(meanwhile, both, strict=True):
        await guest.order(says.send(guest.out, one))
        await guest.order(says.send(guest.out, other), guest.more)
    await guest.collected.all(guest.out, [*meanwhile, *both])
    await guest.idle()
    for token in guest.tokens() or [None]:
        await guest.answer(changes.leave(guest.into, token))
    await guest.order(says.send(guest.out, "too late"), guest.more)
    await guest.order(says.send(guest.out, "still heard"))
    await guest.collected.all(guest.out, ["still heard"])
    times = guest.collected.times(guest.out)
    assert "too late" not in times
    assert {times[body] for body in (*before, *meanwhile, *both, "still heard")} == {1}


async def asks_and_answers(guest: Guest) -> None:
    """The guest gets as many replies to a request as it waits for, and its own reach who asked, several to one."""
    for order, wanted in guest.says.asks(guest.questions, guest.silent):
        answer = await guest.answer(order)
        assert answer == wanted or (isinstance(answer, dict) and _has(answer, wanted)), answer
    texts = ["one", "two", "three"]
    request = json.dumps({"do": "answer", "texts": texts})
    replies = await guest.client.request(guest.into, request, timeout=20, expected=3)
    assert sorted(reply.data.decode() for reply in replies) == sorted(texts)


async def receives_and_settles(guest: Guest) -> None:
    """Nothing comes in time, or something does, for as long as the guest asks; a receipt is good once."""
    says, answers = guest.says, guest.collected.messages[guest.answers]
    assert await guest.answer({"do": "try_receive", "channel": guest.more, "timeout_ms": 200}) is None
    sent: list[str] = []
    before = len(answers)
    await guest.order({"do": "receive_and", "channel": guest.more, "settle": "complete"})
    while len(answers) == before:  # MQTT keeps nothing for a subscription that is only about to be made
        sent.append(await guest.order(says.send(guest.out, f"received {len(sent)}"), guest.more))
        await asyncio.wait((asyncio.create_task(until(lambda: len(answers) > before, 60)),), timeout=0.2)
    received = json.loads(answers[before].data)
    guest.received += len(received)
    assert received
    assert received == sent[sent.index(received[0]) :][: len(received)]
    for order in ({"do": "complete", "times": 2}, {"do": "complete", "receipt": "forged"}):
        assert (await guest.answer({**order, "catch": True}))["text"].startswith("other: ")
    body = await guest.order({"do": "abandon"})
    await guest.collected.all(guest.dead, [body])
    letters = [letter for letter in guest.collected.messages[guest.dead] if letter.data.decode() == body]
    assert [letter.get("dragoman-attempts") for letter in letters] == ["1"]
    await guest.idle()


async def says_more_to_the_broker(guest: Guest, extensions: Extensions) -> None:
    """Extensions reach the adapter, which knows them; unknown and wrong ones are the guest's error."""
    says, update = guest.says, {"do": "update", "channels": [guest.into, guest.late]}
    for wrong in ({"nonsense": "1"}, extensions.wrong):
        for name in wrong:
            answer = await guest.answer({**update, "extensions": wrong, "catch": True})
            assert name in answer["text"], answer
    sent = [says.send(guest.out, f"late {number}") for number in range(3)]
    before, after = sent[: extensions.skips], sent[extensions.skips :]
    for order in (*before, *(after if before else ())):
        await guest.order(order, guest.late, key="one")
    assert await guest.answer({**update, "extensions": extensions.right}) is None
    for order in () if before else after:
        await guest.order(order, guest.late, key="one")
    await guest.collected.all(guest.out, [f"late {number}" for number in range(extensions.skips, 3)])
    assert sum(f"late {number}" in guest.collected.times(guest.out) for number in range(3)) == len(after)


async def settles_a_batch(guest: Guest) -> None:
    """A batch is one call, and each message of it is settled by itself: completed, abandoned, or by the call's end."""
    answers = guest.collected.messages[guest.answers]
    ways: list[Order] = [{"do": "echo"}, {"do": "complete"}, {"do": "abandon"}, {"do": "echo"}, {"do": "complete"}]
    orders = [json.dumps({**order, "number": number}) for number, order in enumerate(ways)]
    await guest.client.publish(guest.into, *orders)
    await until(lambda: len(answers) == len(ways), 60)
    said = [json.loads(answer.data) for answer in answers]
    assert [one and (json.loads(one["body"])["number"], one["calls"]) for one in said] == [
        (0, len(ways)), None, None, (3, len(ways)), None,
    ]  # fmt: skip
    await guest.collected.all(guest.dead, [orders[2]])
    assert guest.collected.times(guest.dead) == {orders[2]: 1}
    await guest.client.publish(guest.into, json.dumps({"do": "echo", "number": 5}))  # a batch that does not get full
    await until(lambda: len(answers) == len(ways) + 1, 60)
    assert json.loads(answers[-1].data)["calls"] == 1
    await guest.idle()


async def hears_nothing_again(guest: Guest) -> None:
    """What a host before had in its batches is settled for good."""
    last = await guest.order({"do": "echo", "number": 6})
    answers, counters = guest.collected.messages[guest.answers], guest.host.counters["guest"]

    def said() -> list[int]:  # a collector that was ended may leave some of what it had for this one
        found = [json.loads(answer.data) for answer in answers]
        return [one["calls"] for one in found if one and one["body"] == last]

    await until(lambda: bool(said()) and not counters.in_hand, 60)
    assert (said(), counters.received, counters.handled) == ([1], 1, 1)


@dataclass(frozen=True)
class Extensions:
    """A broker's own settings for subscriptions.

    Attributes:
        right: ones that it knows.
        wrong: one with a value that it does not take.
        skips: how many messages a new subscription of `right` does not see.
    """

    right: Mapping[str, str]
    wrong: Mapping[str, str]
    skips: int = 0


async def does_all(guest: Guest, extensions: Extensions) -> None:
    """All that its generation can say, and nothing is taken for an outage."""
    for case in (delivers_and_sends, fails, traps, is_refused):
        await case(guest)
    if guest.says.receives:
        await receives_and_settles(guest)
    if guest.says.changes:
        await changes_what_it_hears(guest)
    if guest.says.receives:
        await says_more_to_the_broker(guest, extensions)
    if guest.says.asks(guest.questions, guest.silent):
        await asks_and_answers(guest)
    await guest.idle()
    assert not guest.host.counters["guest"].outages


def _is_refusal(guest: Guest, answer: Mapping[str, str]) -> None:
    """Whether the answer is the case of the generation's error type, where it has several, and says so."""
    assert _has(answer, guest.says.refusal), answer


def _has(answer: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(text in answer[name] for name, text in wanted.items())
