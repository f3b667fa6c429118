"""What the README and the documentation say is done, page by page, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks import __main__ as benchmarks
from docs import generate

from dragoman.config.model import ClientConfig, Config
from dragoman.errors import ConfigError
from dragoman.plugins import Plugins, load_plugins
from tests.pages import Block, blocks, steps

ROOT = Path(__file__).parents[1]
#: It has a test of its own, in an environment of its own.
ELSEWHERE = {"docs/write-an-adapter.md"}
PAGES = [page for page in generate.pages() if str(page.relative_to(ROOT)) not in ELSEWHERE]
PATIENCE = 240.0


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Reader:
    """Does what a page says, in a folder with the commands of this checkout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[str]] = []
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DRAGOMAN_ROOT": str(ROOT),
        }

    def read(self, block: Block) -> None:
        """Do what the block says."""
        if block.note == "file":
            path = self._folder / block.about
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "console" and block.note != "not run":
            for step in steps(block):
                if block.note == "keep running":
                    self._start(step.command)
                else:
                    printed = self._run(step.command)
                    missing = step.missing(printed)
                    assert missing is None, f"$ {step.command}\nprinted\n{printed}\nbut not the line\n{missing}"

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def _start(self, command: str) -> None:
        log = self._folder / f"running-{len(self._running)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._running.append(process)
        assert process.stdout
        for line in process.stdout:
            if '"event": "ready"' in line:
                return
        raise AssertionError(f"$ {command}\nended: {log.read_text()}")

    def close(self) -> None:
        """Stop what is running, as Ctrl-C does; it must end well."""
        codes = []
        for process in self._running:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
            codes.append(process.returncode)
        assert not any(codes), codes


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """See the class."""
    found = Reader(tmp_path)
    yield found
    found.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    """Its files are written, its commands run, and they print what the page shows."""
    for block in blocks(page):
        reader.read(block)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_each_configuration_on_a_page_is_valid(page: Path) -> None:
    """Every key exists and has a value that it may have; the settings of installed plugins, too."""
    plugins = load_plugins()
    for block in blocks(page):
        if block.language == "toml" and not block.about.endswith("pyproject.toml"):
            config = Config.model_validate(tomllib.loads(block.text))
            for name, client in config.clients.items():
                with suppress(_NotInstalled):
                    _resolve(plugins, name, client)


class _NotInstalled(Exception):
    """A broker's plugin is not a member of this workspace, or not yet."""


def _resolve(plugins: Plugins, name: str, client: ClientConfig) -> None:
    try:
        plugins.resolve(name, client)
    except ConfigError as error:
        raise _NotInstalled if "there is no adapter" in str(error) else error from None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_is_not_run_has_a_reason(page: Path) -> None:
    """So that nothing is left out for convenience."""
    assert all(block.about for block in blocks(page) if block.note == "not run")


@pytest.mark.parametrize("page", generate.pages(), ids=_name)
def test_the_generated_parts_are_what_the_code_says(page: Path) -> None:
    """`python docs/generate.py` makes them."""
    assert page.read_text() == generate.generated(page.read_text())


def test_every_generated_part_is_on_a_page() -> None:
    """A section that nobody can find is not documented."""
    text = "".join(page.read_text() for page in generate.pages())
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == set(generate.PARTS)


@pytest.mark.parametrize("page", generate.pages(), ids=_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Files of the repository, and headings in them."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, heading = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if heading:
            assert heading in _headings(found), target


def _headings(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_page_can_be_reached_from_the_first() -> None:
    """By links, beginning with the README."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            links = re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", page.read_text())
            waiting += [(page.parent / link).resolve() for link in links]
    assert {page.resolve() for page in generate.pages()} <= seen


def test_the_readme_of_the_benchmarks_names_each_of_them() -> None:
    """One that nobody knows of is not run."""
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert [name for name in benchmarks.names() if f"`{name}`" not in text] == []
