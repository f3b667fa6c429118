"""Python functions as handlers: found, checked, called."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.errors import ConfigError, HandlerFailed, NotGranted, PublishFailed, Rejected
from dragoman.handlers.python import PythonHandler, load
from dragoman.message import Message

MODULE = """
import functools
from typing import Any

async def handle(message, context): ...
async def one(message): ...
async def three(message, context, more): ...
async def optional(message, context, more=None): ...
async def anything(*args, **options): ...
def plain(message, context): ...
number = 3

class Class:
    async def method(self, message, context): ...
    async def __call__(self, message, context): ...

instance = Class()
partial = functools.partial(three, more=1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module; what it imports and its place on the path are taken away afterwards."""
    (tmp_path / "billing_functions.py").write_text(MODULE)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["handle", "optional", "anything", "instance", "instance.method", "partial"])
async def test_what_can_be_called_with_a_message_and_a_context_is_a_handler(folder: Path, name: str) -> None:
    """Functions, methods, objects with `__call__`, partials."""
    handler = load(f"billing_functions:{name}", folder)
    await handler.handle([Message()], None)  # type: ignore[arg-type]
    await handler.close()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "billing_function:handle",
            r"there is no module 'billing_function'; expected a module in .* did you mean 'billing_functions'\?",
        ),
        ("billing_functions.sub:handle", r"there is no module 'billing_functions.sub'"),
        ("no_such.package:handle", r"there is no module 'no_such' \(of 'no_such.package'\)"),
        ("billing_functions:handel", r"there is no 'handel' in 'billing_functions'; did you mean 'handle'\?"),
        ("billing_functions:instance.metod", r"there is no 'instance.metod' in .* did you mean 'method'\?"),
        ("billing_functions:number", "'billing_functions:number' is a int; expected a function"),
        ("billing_functions:plain", r"is not asynchronous; expected `async def plain\(message, context\)`"),
        ("billing_functions:one", r"takes \(message\); expected the two parameters \(message, context\)"),
        ("billing_functions:three", r"takes \(message, context, more\); expected the two parameters"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_was_expected(folder: Path, reference: str, message: str) -> None:
    """In one line, with the nearest name."""
    with pytest.raises(ConfigError, match=message) as raised:
        load(reference, folder)
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import no_such_module",
            "module 'broken' can't be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("import broken.child", "can't be imported: ModuleNotFoundError"),
        ("def (:", "module 'broken' can't be imported: SyntaxError"),
        ("1 / 0", "module 'broken' can't be imported: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(4)", "module 'broken' can't be imported: SystemExit: 4"),
    ],
)
def test_a_module_that_fails_to_import_says_why(folder: Path, text: str, message: str) -> None:
    """It is there, so it is not said to be missing."""
    (folder / "broken.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load("broken:handle", folder)


async def test_a_handler_imports_its_neighbours_at_any_time(folder: Path) -> None:
    """Also when it is called."""
    (folder / "calling.py").write_text("async def handle(message, context):\n    import neighbour_of_calling\n")
    (folder / "neighbour_of_calling.py").write_text("")
    handler = load("calling:handle", folder)
    await handler.handle([Message()], None)  # type: ignore[arg-type]


def test_a_module_is_not_mistaken_for_another_of_its_name(folder: Path) -> None:
    """One that was imported before from elsewhere."""
    (folder / "json.py").write_text(MODULE)
    with pytest.raises(ConfigError, match=r"the module 'json' was already imported from .*: rename one of them"):
        load("json:loads", folder)


def raising(error: BaseException) -> PythonHandler:
    """A handler that raises it."""

    async def function(message: Message, context: Any) -> None:
        raise error

    return PythonHandler(function)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no order"), "ValueError: no order"),
        (KeyError(), "KeyError"),
        (SystemExit(2), "SystemExit: 2"),
        (PublishFailed("full", where="main"), "PublishFailed: main: full"),
    ],
)
async def test_what_is_raised_is_the_reason(error: BaseException, reason: str) -> None:
    """With its type; the exception is the cause."""
    with pytest.raises(HandlerFailed) as failed:
        await raising(error).handle([Message()], None)  # type: ignore[arg-type]
    assert str(failed.value) == reason
    assert failed.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [Rejected("never"), NotGranted("no"), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr
)
async def test_what_the_host_understands_passes_through(error: BaseException) -> None:
    """As it is."""
    with pytest.raises(type(error)) as raised:
        await raising(error).handle([Message()], None)  # type: ignore[arg-type]
    assert raised.value is error


async def test_a_decorated_function_is_a_handler() -> None:
    """As long as what is called is asynchronous."""

    def twice(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any) -> None:
            await function(*args)
            await function(*args)

        return wrapper

    calls = []

    @twice
    async def function(message: Message, context: Any) -> None:
        calls.append(message.data)

    await PythonHandler(function).handle([Message(b"x")], None)  # type: ignore[arg-type]
    assert calls == [b"x", b"x"]
