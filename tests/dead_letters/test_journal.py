"""The journal of what was sent back, whatever happened while it was written."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dragoman.dead_letters.journal import Journal, opened
from dragoman.errors import DragomanError


def test_it_knows_what_was_sent_and_what_is_in_doubt(tmp_path: Path) -> None:
    """Also the next time; what was certainly not sent is in no doubt."""
    path = tmp_path / "made" / "journal"
    with opened(path) as journal:
        journal.sending(["a", "b", "c"], "orders of shop")
        journal.finished(["a"])
        journal.unsent(["c"])
        assert (set(journal.done), set(journal.doubtful)) == ({"a"}, {"b"})
    for known in (Journal.read(path), Journal.read(path)):
        assert (set(known.done), set(known.doubtful)) == ({"a"}, {"b"})


@pytest.mark.parametrize("torn", [b'{"what": "done", "ids": ["b"', b"\0\0\0", b'{"what": "done"}\n[]\n7\n'])
def test_a_line_that_was_never_finished_hides_no_other(tmp_path: Path, torn: bytes) -> None:
    """After a power cut the last line may be anything; the next replay writes behind it."""
    path = tmp_path / "journal"
    with opened(path) as journal:
        journal.sending(["a", "b"], "orders of shop")
        journal.finished(["a"])
    path.write_bytes(path.read_bytes() + torn)
    with opened(path) as journal:
        assert (set(journal.done), set(journal.doubtful)) == ({"a"}, {"b"})
        journal.finished(["b"])
    assert set(Journal.read(path).done) == {"a", "b"}


def test_what_is_too_old_is_forgotten_but_no_doubt_is(tmp_path: Path) -> None:
    """After 90 days; what stays is kept as it was."""
    path = tmp_path / "journal"
    old = (datetime.now(UTC) - timedelta(days=91)).isoformat()
    lines = [
        {"what": "done", "time": old, "ids": ["old"]},
        {"what": "sending", "time": old, "ids": ["doubt"], "to": "x"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with opened(path) as journal:
        journal.finished(["new"])
    known = Journal.read(path)
    assert (set(known.done), set(known.doubtful)) == ({"new"}, {"doubt"})
    assert "old" not in path.read_text()


def _open(path: Path, said: object) -> None:
    try:
        with opened(path):
            said.put("opened")  # type: ignore[attr-defined]
    except DragomanError as error:
        said.put(str(error))  # type: ignore[attr-defined]


def test_only_one_replay_has_it_at_a_time(tmp_path: Path) -> None:
    """Another process is told so."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    with opened(tmp_path / "journal"):
        other = context.Process(target=_open, args=(tmp_path / "journal", said))
        other.start()
        assert "another command has the dead letters in hand" in said.get(timeout=60)
        other.join()
    with opened(tmp_path / "journal"):
        pass


def test_a_place_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    """Before anything is sent."""
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(DragomanError, match=r"the journal can't be used.*--journal"), opened(tmp_path / "file" / "x"):
        pass
