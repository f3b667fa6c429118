"""Reads a configuration file, and finds all of its mistakes at once."""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from dragoman.config.checks import check
from dragoman.config.environment import Environment
from dragoman.config.keys import dotted, line_of, lines
from dragoman.config.model import ClientConfig, Config
from dragoman.config.paths import beside
from dragoman.config.problems import one_of, problems_of
from dragoman.config.secrets import mask, passwords
from dragoman.errors import ConfigError, Problem, nearest

if TYPE_CHECKING:
    from dragoman.plugins import Plugins

_AT_LINE: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """A file that was read, before anything in it was checked.

    Attributes:
        path: as the user wrote it.
        text: the file.
        raw: what it says, the variables by name.
        table: the same, with their values.
        secrets: every value that must not be printed, and what is shown instead.
        problems: what is wrong with the variables.
    """

    path: Path
    text: str
    raw: dict[str, Any]
    table: dict[str, Any]
    secrets: Mapping[str, str]
    problems: tuple[Problem, ...]

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems with file and line and without secrets, in the order of the file."""
        known = lines(self.text)
        placed = [
            replace(
                problem,
                file=str(self.path),
                line=line_of(problem.key, known),
                what=mask(problem.what, self.secrets),
                expected=problem.expected and mask(problem.expected, self.secrets),
            )
            for problem in problems
        ]
        return sorted(placed, key=lambda problem: problem.line or 0)


def load(path: Path, plugins: Plugins) -> Config:
    """The configuration in a file. Blocks while it reads it; connects to nothing.

    Relative paths are made absolute against the file's folder, and `${NAME}` is replaced by the environment's value.

    Raises:
        ConfigError: with every mistake that was found.
    """
    return validate(read(path), plugins)


def read(path: Path, variables: Mapping[str, str] = os.environ) -> Source:
    """The file, with its variables replaced; nothing else in it is checked.

    Raises:
        ConfigError: it can't be read, or is no TOML.
    """
    text = _text(path)
    raw = _table(path, text)
    environment = Environment(variables)
    table = environment.expand(raw)
    return Source(path, text, raw, table, passwords(table) | environment.used, tuple(environment.problems))


def load_client(path: Path, name: str, plugins: Plugins) -> ClientConfig:
    """One client of a configuration file. Mistakes elsewhere in the file don't matter.

    Raises:
        ConfigError: there is no such client, or with every mistake in it.
    """
    source = read(path)
    config, problems = examine(source, plugins)
    here = dotted(("clients", name))
    own = [problem for problem in problems if problem.key in ("clients", here) or problem.key.startswith(f"{here}.")]
    if not own and name not in config.clients:
        known = source.table.get("clients", {})
        expected = one_of(known) if known else "a table [clients.NAME]"
        own = [Problem(str(path), "clients", f"there is no client {name!r}", expected, nearest(name, known))]
    if own:
        raise ConfigError(own)
    return config.clients[name]


def validate(source: Source, plugins: Plugins) -> Config:
    """The configuration that was read.

    Raises:
        ConfigError: with every mistake that was found.
    """
    config, problems = examine(source, plugins)
    if problems:
        raise ConfigError(problems)
    return config


def examine(source: Source, plugins: Plugins) -> tuple[Config, list[Problem]]:
    """What is right in a file, and every mistake in the order of the file."""
    problems = list(source.problems)
    try:
        config = Config.model_validate(source.table)
    except ValidationError as error:
        problems += problems_of(error, Config, source.table)
        config = _right_part(source.table, error)
    config = _from_file(config, source)
    problems += _further(check(config, plugins, source.table), problems)
    return config, source.located(_first_for_each_key(problems))


def _from_file(config: Config, source: Source) -> Config:
    folder = source.path.absolute().parent
    clients = {name: client.from_file(folder, source.secrets) for name, client in config.clients.items()}
    return beside(config.model_copy(update={"clients": clients}), folder)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        hint = "write one, or name another file with -c FILE"
        raise ConfigError([Problem(str(path), "", "there is no such file", hint=hint)]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(str(path), "", "is not UTF-8", expected="TOML in UTF-8", line=line)]) from None
    except (OSError, ValueError) as error:
        what = f"can't be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigError([Problem(str(path), "", what)]) from None


def _table(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError([Problem(str(path), "", "is nested too deeply")]) from None
    except ValueError as error:
        match = _AT_LINE.search(str(error))
        what = _AT_LINE.sub("", str(error))
        line = int(match["line"]) if match and match["line"] else text.count("\n") + 1
        raise ConfigError([Problem(str(path), "", f"is no TOML: {what}", line=line)]) from None


def _right_part(table: Mapping[str, Any], error: ValidationError) -> Config:
    """What is right, so that it is checked further in the same run, and nobody mends a file in several rounds.

    First the mistaken keys go; a section that can't do without them goes next, and a whole table last.
    """
    good: dict[str, Any] = copy.deepcopy(dict(table))
    for depth in (3, 2, 1):
        for details in error.errors(include_url=False, include_input=False, include_context=False):
            _drop(good, details["loc"][:depth])
        try:
            return Config.model_validate(good)
        except ValidationError as remaining:
            error = remaining
    return Config()


def _drop(table: dict[str, Any], path: Sequence[str | int]) -> None:
    *parents, last = path
    inner: Any = table
    for key in parents:
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(last, None)


def _further(found: Iterable[Problem], known: Sequence[Problem]) -> list[Problem]:
    """The problems that are not only there because a mistaken key was left out."""
    keys = [problem.key for problem in known]
    return [
        one
        for one in found
        if not any(key == one.key or key.startswith((f"{one.key}.", f"{one.key}[")) for key in keys)
    ]


def _first_for_each_key(problems: Iterable[Problem]) -> list[Problem]:
    # What follows from a mistake (a variable that is not set gives an empty text) is no second mistake.
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.key, problem)
    return list(first.values())
