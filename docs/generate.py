"""Writes the parts of the reference that the code knows: between `<!-- generated: NAME -->` and `<!-- end -->`.

`python docs/generate.py` does all of them; a test fails where one is not what it would write.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dragoman import errors
from dragoman.cli.main import COMMANDS
from dragoman.config import model, units
from dragoman.embedded.settings import EmbeddedConfig

DOCS: Final = Path(__file__).parent
_PART: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SIZES: Final = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_TIMES: Final = ((86400, "d"), (1, "s"), (0.001, "ms"))


def table(section: type[BaseModel]) -> str:
    """The keys of a table of the configuration."""
    rows = [f"| `{name}` | {_default(field)} | {field.description} |" for name, field in section.model_fields.items()]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, BaseModel):
        return "see below"
    if default in (None, (), {}):
        return ""
    return f"`{_value(default, field)}`"


def _value(value: Any, field: FieldInfo) -> str:
    kinds = _validators(field)
    if units.duration in kinds:
        return f'"{_with_unit(value, _TIMES)}"'
    if units.size in kinds:
        return f'"{_with_unit(value, _SIZES)}"'
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def _validators(field: FieldInfo) -> set[Any]:
    marks = [*field.metadata, *(mark for kind in get_args(field.annotation) for mark in get_args(kind))]
    return {getattr(mark, "func", None) for mark in marks}


def _with_unit(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    for factor, unit in scale:
        if value >= factor and abs(value / factor - round(value / factor)) < 1e-9:
            return f"{round(value / factor)}{unit}"
    return str(value)


def error_tree() -> str:
    """The tree as it is drawn in the code, and what each of the errors means."""
    drawn = re.search(r"    DragomanError\n(?:    .*\n)+", errors.__doc__ or "")
    tree = inspect.cleandoc(drawn[0] if drawn else "")
    rows = [f"| `{kind.__name__}` | {_sentence(kind)} | {_again(kind)} |" for kind in _kinds(errors.DragomanError)]
    return (
        "\n".join(["```text", tree, "```", "", "| error | meaning | worth another try |", "|---|---|---|", *rows])
        + "\n"
    )


def _kinds(kind: type[errors.DragomanError]) -> Iterator[type[errors.DragomanError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def _sentence(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def _again(kind: type[errors.DragomanError]) -> str:
    return "yes" if kind.retryable else "no"


def commands() -> str:
    """The help of every command."""
    return "\n".join(_help(f"dragoman {name}", _command(name)) for name in COMMANDS)


def _command(name: str) -> click.Command:
    module = __import__(f"dragoman.cli.{name.replace('-', '_')}", fromlist=["command"])
    command: click.Command = module.command
    return command


def _help(name: str, command: click.Command) -> str:
    # As a user sees it: in this process click may have help of its own in mind for a command that ran before.
    arguments = [sys.executable, "-m", *name.split(), "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    text = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout
    inner = command.commands if isinstance(command, click.Group) else {}
    parts = [f"## {name}\n\n```text\n{text.rstrip()}\n```\n"]
    parts += [f"\n#{_help(f'{name} {one}', child)}" for one, child in inner.items()]
    return "".join(parts)


def command_table() -> str:
    """What each command is for."""
    rows = [f"| `dragoman {name}` | {text.rstrip('.')} |" for name, text in COMMANDS.items()]
    return "\n".join(["| command | |", "|---|---|", *rows]) + "\n"


def listing(folder: str) -> str:
    """Links to the pages of a folder, for `docs/README.md`."""
    pages = sorted((DOCS / folder).glob("*.md"))
    return "".join(f"- [{_title(page)}]({page.relative_to(DOCS).as_posix()})\n" for page in pages)


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].removeprefix("# ")


PARTS: Final[dict[str, Callable[[], str]]] = {
    "clients": lambda: table(model.ClientConfig),
    "handlers": lambda: table(model.HandlerConfig),
    "retry": lambda: table(model.RetryConfig),
    "dead-letter": lambda: table(model.DeadLetterConfig),
    "wasi": lambda: table(model.WasiConfig),
    "keyvalue": lambda: table(model.KeyvalueConfig),
    "limits": lambda: table(model.LimitsConfig),
    "host": lambda: table(model.HostConfig),
    "observe": lambda: table(model.ObserveConfig),
    "embedded": lambda: table(EmbeddedConfig),
    "errors": error_tree,
    "commands": commands,
    "command-table": command_table,
    "brokers": lambda: listing("brokers"),
    "decisions": lambda: listing("decisions"),
}


def pages() -> list[Path]:
    """Every page that a reader may open first or later."""
    return [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def generated(text: str) -> str:
    """The page with its generated parts made anew."""
    return _PART.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)


def main() -> None:
    """Write every page whose generated parts have changed."""
    for page in pages():
        text = page.read_text()
        if (made := generated(text)) != text:
            page.write_text(made)
            sys.stdout.write(f"{page.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
