"""The guests that `dragoman new guest` offers build from the package registries, and do what their cases say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from dragoman.cli import guests
from dragoman.cli.new import command
from tests.guests.build import ROOT
from tests.guests.projects import project, run

OFFERED = [(language, generation) for language, found in guests.offered().items() for generation in found]
#: To build and compile a guest in Python takes half a minute, so of the others only the one in JavaScript is run;
#: `DRAGOMAN_GUESTS=all` runs them all.
RUN = [
    (language, generation)
    for language, generation in OFFERED
    if (language, generation == "core") != ("python", False) or os.environ.get("DRAGOMAN_GUESTS") == "all"
]
#: What a guest's author runs to test the logic without a host.
LOGIC = {
    "c": "clang -Wall -Wextra -Werror -o test_order test_order.c order.c json.c && ./test_order",
    "go": "go vet ./order && go test ./order",
    "javascript": "npm test",
    "python": "python -m unittest test_order",
    "rust": "cargo test",
}
#: Those that are small enough to be in the repository.
BUILT = ("c", "rust")

pytestmark = pytest.mark.timeout(900)


def test_five_languages_speak_core_and_every_generation_has_a_guest() -> None:
    """Nobody has to begin with nothing."""
    assert {language for language, generation in OFFERED if generation == "core"} == set(LOGIC)
    assert {generation for _, generation in OFFERED} == set(guests.WORLDS)
    help_ = CliRunner().invoke(command, ["guest", "--help"]).output
    for language, generation in OFFERED:
        assert language in help_
        assert generation in help_


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ((), "ru", ["rust"]),
        (("--generation", "formats"), "", ["javascript", "python"]),
        (("--lang", "c", "--generation"), "", ["core"]),
        (("--lang", "python", "--generation"), "", ["core", "events", "formats", "topics", "wasmcloud"]),
        (("--generation",), "f", ["formats"]),
    ],
)
def test_a_shell_completes_what_there_is(words: tuple[str, ...], incomplete: str, expected: list[str]) -> None:
    """The languages, the generations, and of each only those that go with the other."""
    arguments = ["guest", "mine", *words, *([] if words[-1:] == ("--generation",) else ["--lang"])]
    found = ShellComplete(command, {}, "new", "_NEW_COMPLETE").get_completions(arguments, incomplete)
    assert [item.value for item in found] == expected


@pytest.mark.parametrize("language", LOGIC)
def test_the_logic_passes_its_own_tests_without_a_host(language: str) -> None:
    """The same table of cases in each language, by its own test runner."""
    run(project(language), language, "sh", "-c", LOGIC[language])


@pytest.mark.parametrize(("language", "generation"), RUN, ids=["-".join(pair) for pair in RUN])
def test_a_new_guest_does_what_the_table_says(language: str, generation: str) -> None:
    """As a project by itself: built, run in a host by its own test, each case counted."""
    folder = project(language, generation)
    assert "OK" in run(folder, language, sys.executable, "test_guest.py")


@pytest.mark.parametrize("language", LOGIC)
def test_a_tool_that_is_missing_is_told_in_one_line(language: str, tmp_path: Path) -> None:
    """With where to read what is needed; no traceback."""
    guests.compose(language, "core", tmp_path / "guest")
    python = tmp_path / "bin" / "python"  # no program is beside it
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    command = [python, "build.py"]
    environment = {"PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path / "guest", env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith(" is missing; what is needed stands at the top of build.py\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("language", BUILT)
def test_what_is_in_the_repository_is_what_its_sources_give(language: str, tmp_path: Path) -> None:
    """The component there and one that was built now have the same imports and exports, and behave the same."""
    built = project(language)
    kept = ROOT / "examples" / "guests" / language / "guest.wasm"
    shape = [run(tmp_path, language, "wasm-tools", "component", "wit", path) for path in (kept, built / "guest.wasm")]
    assert shape[0] == shape[1]
    for name in ("cases.json", "dragoman.toml", "test_guest.py"):
        shutil.copy(built / name, tmp_path)
    shutil.copy(kept, tmp_path)
    assert "OK" in run(tmp_path, language, sys.executable, "test_guest.py")


def test_the_test_of_a_guest_fails_where_the_guest_is_wrong(tmp_path: Path) -> None:
    """It is no test that would pass anyway: with one case changed it says which."""
    for name in ("cases.json", "dragoman.toml", "test_guest.py", "guest.wasm"):
        shutil.copy(ROOT / "examples" / "guests" / "c" / name, tmp_path)
    cases = (tmp_path / "cases.json").read_text()
    (tmp_path / "cases.json").write_text(cases.replace('"items": 4', '"items": 5'))
    with pytest.raises(AssertionError, match="several lines"):
        run(tmp_path, "c", sys.executable, "test_guest.py")


def test_a_guest_that_does_not_exist_is_refused_with_what_does(tmp_path: Path) -> None:
    """By language and by generation; nothing is made."""
    runner = CliRunner()
    for wanted in (["--lang", "cobol"], ["--lang", "c", "--generation", "none"]):
        refused = runner.invoke(command, ["guest", "mine", *wanted, "--into", str(tmp_path)])
        assert refused.exit_code == 2
        assert "There are c: core" in refused.output
    assert not list(tmp_path.iterdir())


def test_a_new_guest_overwrites_nothing_and_has_a_plain_name(tmp_path: Path) -> None:
    """What is there already stays as it is."""
    runner = CliRunner()
    (tmp_path / "mine").mkdir()
    taken = runner.invoke(command, ["guest", "mine", "--lang", "c", "--into", str(tmp_path)])
    assert (taken.exit_code, list((tmp_path / "mine").iterdir())) == (2, [])
    odd = runner.invoke(command, ["guest", "../Mine", "--lang", "c", "--into", str(tmp_path)])
    assert odd.exit_code == 2
    assert "expected lower case" in odd.output
