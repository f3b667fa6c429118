"""Order within a lane, none without."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from dragoman.adapter import Delivery
from dragoman.host.lanes import Lanes
from dragoman.message import Message


def delivery(lane: str | None) -> Delivery:
    """One of that lane."""
    return Delivery(Message(), lane)


def test_without_a_lane_everything_may_be_handled_at_once() -> None:
    """And nothing is kept."""
    lanes = Lanes()
    one, two = delivery(None), delivery(None)
    assert lanes.enter([one, two]) == [one, two]
    assert lanes.leave(one) is None
    assert lanes.clear(two) == []
    assert (len(lanes), lanes.waiting) == (0, 0)


def test_ending_a_lane_gives_those_behind_in_order() -> None:
    """Afterwards the lane begins anew."""
    lanes = Lanes()
    first, second, third = (delivery("a") for _ in range(3))
    assert lanes.enter([first, second]) == [first]
    assert lanes.enter([third]) == []
    assert lanes.waiting == 2
    assert lanes.clear(first) == [second, third]
    assert (len(lanes), lanes.waiting) == (0, 0)
    assert lanes.enter([delivery("a")])


def test_forgetting_those_who_wait_keeps_the_first_in_the_way() -> None:
    """What comes again waits behind what is still being handled."""
    lanes = Lanes()
    first, second, again = (delivery("a") for _ in range(3))
    lanes.enter([first, second])
    lanes.forget_waiting()
    assert lanes.waiting == 0
    assert not lanes.enter([again])
    assert lanes.leave(first) is again


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans()), max_size=60))
def test_each_lane_is_handled_one_at_a_time_in_order(steps: list[tuple[str | None, bool]]) -> None:
    """Whatever comes and ends in which order, and nothing is left behind."""
    lanes = Lanes()
    arrived: dict[str | None, list[Delivery]] = {}
    begun: dict[str | None, list[Delivery]] = {}
    active: deque[Delivery] = deque()

    def begin(one: Delivery | None) -> None:
        if one is not None:
            assert one.lane is None or all(other.lane != one.lane for other in active)
            begun.setdefault(one.lane, []).append(one)
            active.append(one)

    for lane, ends in steps:
        if ends and active:
            begin(lanes.leave(active.popleft()))
        one = delivery(lane)
        arrived.setdefault(lane, []).append(one)
        begin(one if lanes.enter([one]) else None)
    while active:
        begin(lanes.leave(active.popleft()))
    assert begun == arrived
    assert (len(lanes), lanes.waiting) == (0, 0)
