"""How far a partition is settled."""

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from dragoman_kafka.offsets import Progress


@given(st.sets(st.integers(0, 60), min_size=1), st.data())
def test_the_position_is_the_first_offset_that_is_not_settled(offsets: set[int], data: st.DataObject) -> None:
    """In whatever order, with gaps as compaction leaves them, and however the batches were cut."""
    left = sorted(offsets)
    progress = Progress(TopicPartition("t", 0))
    assert progress.position is None
    unsettled: set[int] = set()
    while left or unsettled:
        if left and (not unsettled or data.draw(st.booleans())):
            size = data.draw(st.integers(1, len(left)))
            batch, left = left[:size], left[size:]
            progress.take(batch)
            unsettled.update(batch)
            last = batch[-1]
        else:
            done = data.draw(st.sampled_from(sorted(unsettled)))
            progress.accept(done)
            unsettled.remove(done)
        assert progress.position == min(unsettled, default=last + 1)
        assert len(progress) == len(unsettled)


def test_progress_is_behind_until_the_broker_knows_it() -> None:
    """Only what moves the position needs a commit."""
    progress = Progress(TopicPartition("t", 0))
    assert not progress.behind
    progress.take([4, 5])
    progress.committed = 4
    progress.accept(5)
    assert not progress.behind, "4 is still in hand"
    progress.accept(4)
    assert progress.behind
    progress.lost = True
    assert not progress.behind, "it is somebody else's now"
