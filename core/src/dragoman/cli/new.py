"""`dragoman new`: an adapter of one's own, from the template, or a guest, from the examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from dragoman.cli import guests
from dragoman.cli.examples import examples
from dragoman.errors import PluginError

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".venv", "dist", "build"})


@examples("dragoman new guest my-guest --lang rust", "dragoman new adapter my-queue")
@click.group("new")
def command() -> None:
    """Make a guest or an adapter of your own."""


@examples("dragoman new adapter my-queue", "dragoman new adapter my-queue --into ~/code")
@command.command("adapter")
@click.argument("name")
@click.option("--into", default=".", metavar="DIR", type=click.Path(path_type=Path), help="The folder to make it in.")
def adapter(name: str, into: Path) -> None:
    """Make the package of an adapter for another broker, as dragoman-NAME.

    It works and passes the conformance kit as it is, over a dictionary; its comments say what to replace.
    """
    if not _NAME.fullmatch(name) or name == "template":
        raise click.UsageError(f"{name!r} is no name for an adapter; expected lower case, as in 'my-queue'")
    target = into / f"dragoman-{name}"
    if target.exists():
        raise click.UsageError(f"{target} exists already; choose another name, or another folder with --into")
    copy(template(), target, name)
    click.echo(f"Made {target}. Its README says what to replace. To see it pass the conformance kit:")
    click.echo(f"  cd {target} && python -m pip install --editable '.[test]' && python -m pytest")


@examples(
    "dragoman new guest my-guest --lang rust",
    "dragoman new guest my-guest --lang python --generation wasmcloud --into ~/code",
)
@command.command("guest")
@click.argument("name")
@click.option(
    "--lang",
    "language",
    required=True,
    metavar="LANG",
    help="c, go, javascript, python or rust.",
    shell_complete=lambda context, _, start: _languages(context.params.get("generation"), start),
)
@click.option(
    "--generation",
    default="core",
    show_default=True,
    metavar="GENERATION",
    help="core in any language; events, formats, topics or wasmcloud in javascript or python.",
    shell_complete=lambda context, _, start: _generations(context.params.get("language"), start),
)
@click.option("--into", default=".", metavar="DIR", type=click.Path(path_type=Path), help="The folder to make it in.")
def guest(name: str, language: str, generation: str, into: Path) -> None:
    """Make a guest, a handler as a component, in a folder NAME.

    It checks, adds up and routes orders, works as it is, and has a build script, a configuration, tests of its own
    and one of the whole. Its `order` is the part to replace.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name for a guest; expected lower case, as in 'my-guest'")
    offered = guests.offered()
    if language not in offered or generation not in offered[language]:
        exist = "; ".join(f"{each}: {', '.join(generations)}" for each, generations in offered.items())
        raise click.UsageError(f"there is no guest in {language} for {generation} to start from. There are {exist}")
    target = into / name
    if target.exists():
        raise click.UsageError(f"{target} exists already; choose another name, or another folder with --into")
    guests.compose(language, generation, target)
    click.echo(f"Made {target}. The part to replace is what it does with an order. To see it work:")
    click.echo(f"  cd {target} && python build.py && python test_guest.py")


def _languages(generation: str | None, start: str) -> list[str]:
    """The languages that begin so, in which there is a guest for that generation, or for any."""
    return [
        language
        for language, found in guests.offered().items()
        if language.startswith(start) and (generation or found[0]) in found
    ]


def _generations(language: str | None, start: str) -> list[str]:
    """The generations that begin so, for which there is a guest in that language, or in any."""
    offered = guests.offered()
    found = offered.get(language or "", sorted({each for generations in offered.values() for each in generations}))
    return [generation for generation in found if generation.startswith(start)]


def template() -> Path:
    """The folder of the template: beside this package in a wheel, in `plugins/` in a checkout.

    Raises:
        PluginError: it is in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "template", package.parents[2] / "plugins" / "_template"):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise PluginError("the template of an adapter is missing from this installation", hint="install dragoman again")


def copy(source: Path, target: Path, name: str) -> None:
    """Copy the template, with its name replaced in paths and in files.

    Args:
        source: the template's folder.
        target: the folder to make.
        name: the adapter's, such as `my-queue`.
    """
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_dir() or _LEFT_OUT & set(inside.parts) or any(part.endswith(".egg-info") for part in inside.parts):
            continue
        copied = target / _renamed(str(inside), name)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(_renamed(path.read_text(encoding="utf-8"), name), encoding="utf-8")


def _renamed(text: str, name: str) -> str:
    return text.replace("dragoman_template", f"dragoman_{name.replace('-', '_')}").replace("template", name)
