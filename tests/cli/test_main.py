"""What all commands have in common: help, examples, errors, codes."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from dragoman.cli import main as cli
from dragoman.cli.main import COMMANDS, _dragoman
from tests.cli.conftest import Run
from tests.cli.process import Running
from tests.distributions import install


def _commands(
    group: click.Group = _dragoman, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in _commands()]


def _examples(command: click.Command) -> list[str]:
    return [line.strip() for line in (command.epilog or "").splitlines()[2:]]


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_command_has_help_and_an_example(path: tuple[str, ...], command: click.Command) -> None:
    """And a help for each option."""
    assert command.help
    assert _examples(command)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize(("path", "command"), ALL)
def test_the_examples_are_real(
    path: tuple[str, ...], command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each can be typed: it names this command, and options and values that it takes."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("guests").mkdir()
    for name in ("order.json", "question.json", "guests/billing.wasm"):
        tmp_path.joinpath(name).touch()
    for example in _examples(command):
        line = example.partition("    #")[0].removeprefix('eval "$(').rstrip(' ")')
        words = shlex.split(line.partition(" | ")[0].partition(" > ")[0].partition(" < ")[0])
        assert words[: len(path) + 1] == ["dragoman", *path]
        with command.make_context("dragoman", words[len(path) + 1 :], parent=click.Context(_dragoman, obj={})):
            pass


def test_the_overview_says_of_each_command_what_its_own_help_says() -> None:
    """The overview imports no command, so its lines are written twice."""
    for name, text in COMMANDS.items():
        command = _dragoman.get_command(click.Context(_dragoman), name)
        assert command is not None
        assert (command.help or "").partition("\n")[0] == text


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_little(arguments: list[str]) -> None:
    """They come at once: neither pydantic nor an adapter nor the engine is imported for them."""
    code = f"import sys\nfrom dragoman.cli.main import run\nrun({arguments!r})\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = ast.literal_eval(done.stdout.splitlines()[-1])
    heavy = {"asyncio", "pydantic", "rich", "pluggy", "wasmtime", "sqlite3", "dragoman.plugins", "dragoman.client"}
    assert not heavy & set(imported)


def test_an_unknown_command_is_told_the_nearest(dragoman: Run) -> None:
    """With code 2."""
    done = dragoman("plugin")
    assert done.returncode == 2
    assert "there is no command 'plugin'; did you mean 'plugins'?" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["run"], ["check"], ["config", "show"], ["send", "orders", "a", "x"], ["tail", "orders", "a"]]
)
def test_without_a_configuration_it_says_what_to_do(dragoman: Run, folder: Path, arguments: list[str]) -> None:
    """One line, code 2."""
    folder.joinpath("dragoman.toml").unlink()
    done = dragoman(*arguments)
    assert done.returncode == 2
    assert done.stderr == (
        "error: dragoman.toml: there is no such file (write one, or name another file with -c FILE)\n"
    )
    assert done.stdout == ""


def test_the_configuration_may_be_named_before_or_after_the_command(dragoman: Run, folder: Path) -> None:
    """As people expect of other tools, one way or the other."""
    folder.joinpath("dragoman.toml").rename(folder / "other.toml")
    for arguments in (["-c", "other.toml", "config", "show"], ["config", "show", "-c", "other.toml"]):
        assert "[clients.orders]" in dragoman(*arguments).stdout


def test_each_mistake_is_a_line(dragoman: Run, folder: Path) -> None:
    """And no traceback."""
    folder.joinpath("dragoman.toml").write_text("[clients.a]\nadapter = 'embeded'\n[host]\ngrace = 'x'\n")
    done = dragoman("config", "show")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "did you mean 'embedded'?" in lines[0]
    assert lines[1].startswith("error: dragoman.toml:4: host.grace: 'x' is no duration; expected")


def _broken(folder: Path) -> dict[str, str]:
    """An environment in which a command fails in a way that nobody foresaw."""
    code = "import pathlib\ndef fail(*_, **__): raise RuntimeError('unforeseen')\npathlib.Path.read_text = fail\n"
    site = folder / "site"
    site.mkdir()
    install(site, "breaker", code=code + "@hookimpl\ndef dragoman_adapters():\n    return []\n")
    return {"PYTHONPATH": str(site)}


def test_an_unforeseen_error_is_a_line_with_what_to_do(dragoman: Run, folder: Path) -> None:
    """The traceback only where it was asked for."""
    env = _broken(folder)
    done = dragoman("check", env=env)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: RuntimeError: unforeseen (a flaw in dragoman: run")
    assert "Traceback" not in done.stderr
    assert "Traceback" in dragoman("--debug", "check", env=env).stderr
    assert "Traceback" in dragoman("check", env={**env, "DRAGOMAN_DEBUG": "1"}).stderr


def test_colour_is_for_terminals_whose_user_wants_it(start: Callable[..., Running], dragoman: Run) -> None:
    """Not in a pipe, and not with NO_COLOR."""
    on_terminal = start("config", "show", "-c", "none", terminal=True)
    assert on_terminal.end() == 2
    assert "\x1b[" in on_terminal.text
    without = start("config", "show", "-c", "none", terminal=True, env={"NO_COLOR": "1"})
    assert without.end() == 2
    assert "\x1b[" not in without.text
    assert "\x1b[" not in dragoman("config", "show", "-c", "none").stderr


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    """`dragoman schema | head -1` says nothing, and is code 0."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "dragoman", "schema"], stdout=write, stderr=subprocess.PIPE, cwd=folder
    )
    os.close(write)
    os.close(read)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == b""


def test_the_exit_code_of_main_is_the_command_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a console script, too."""
    with pytest.raises(SystemExit) as ended:
        cli(["nonsense"])
    assert ended.value.code == 2
