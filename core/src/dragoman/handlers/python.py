"""A plain Python function as a handler: `async def handle(message, context)`, named as `package.module:handle`.

What has a method `wanted` says itself what it hears, at the start:

    class Billing:
        async def wanted(self, context):
            return dragoman.Wanted(("orders", "topic:prices"))

        async def __call__(self, message, context): ...

    billing = Billing()
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from dragoman.errors import ConfigError, HandlerError, HandlerFailed, Problem, nearest
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message

Function = Callable[[Any, Context], Awaitable[object]]


class PythonHandler:
    """Calls the function, and says as a `HandlerError` what it raised."""

    def __init__(self, function: Function, *, batch: bool = False) -> None:
        """A handler that calls the function with one message, or with several in a sequence."""
        self._function = function
        self._batch = batch

    async def handle(self, messages: Sequence[Message], context: Context) -> None:
        """Call the function once. What it returns does not matter.

        Raises:
            HandlerFailed: it raised; the type and text are the reason. `sys.exit()` counts: it ends no host.
            HandlerError: it raised that, such as `Rejected`.
        """
        try:
            await self._function(messages if self._batch else messages[0], context)
        except (HandlerError, asyncio.CancelledError, KeyboardInterrupt):
            raise  # the last two mean the host, or are told apart by it
        except BaseException as error:
            raise HandlerFailed(_reason(error)) from error

    async def wanted(self, context: Context) -> Wanted | None:
        """What `wanted(context)` of the function says; None where it has none.

        Raises:
            HandlerFailed: it raised, or gave something else.
            HandlerError: it raised that.
        """
        ask = getattr(self._function, "wanted", None)
        if ask is None:
            return None
        try:
            wanted = await ask(context)
        except (HandlerError, asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise HandlerFailed(_reason(error)) from error
        if wanted is not None and not isinstance(wanted, Wanted):
            raise HandlerFailed(f"`wanted` gave a {type(wanted).__name__}; expected a dragoman.Wanted, or None")
        return wanted

    async def close(self) -> None:
        """Nothing to release."""


def _reason(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def load(reference: str, folder: Path, *, batch: bool = False) -> PythonHandler:
    """The handler that `package.module:function` names.

    The module is looked for in `folder` first, which stays on `sys.path`, as a script's folder does: a handler may
    import its neighbours at any time. With `batch` it is called with several messages at once. Blocks while the module
    is imported.

    Raises:
        ConfigError: no such module or function, a module that fails to import, or a function that is not
            `async def name(message, context)`, or `(messages, context)` for batches. The problem's `key` is for the
            caller to fill in.
    """
    module_name, _, name = reference.partition(":")
    given = "messages" if batch else "message"
    function = _find(_import(module_name, folder), name, reference)
    if not _is_async(function):
        raise _mistake(f"{reference!r} is not asynchronous", expected=f"`async def {name}({given}, context)`")
    try:
        inspect.signature(function).bind("message", "context")
    except TypeError:
        parameters = str(inspect.signature(function))
        raise _mistake(f"{reference!r} takes {parameters}", expected=f"the two parameters ({given}, context)") from None
    return PythonHandler(function, batch=batch)


def _import(name: str, folder: Path) -> ModuleType:
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.insert(0, path)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _mistake(f"module {name!r} can't be imported: {_reason(error)}") from error
        raise _no_module(name, error.name, folder) from None
    except (Exception, SystemExit) as error:
        raise _mistake(f"module {name!r} can't be imported: {_reason(error)}") from error
    _refuse_namesake(module, folder)
    return module


def _no_module(name: str, missing: str, folder: Path) -> ConfigError:
    parent, _, _ = missing.rpartition(".")
    # A module that is no package has no modules in it.
    places = list(getattr(sys.modules[parent], "__path__", ())) if parent in sys.modules else [str(folder)]
    prefix = f"{parent}." if parent else ""
    choices = [prefix + found.name for found in pkgutil.iter_modules(places)]
    what = f"there is no module {missing!r}" + (f" (of {name!r})" if missing != name else "")
    return _mistake(what, expected=f"a module in {folder} or an installed one", near=nearest(missing, choices))


def _refuse_namesake(module: ModuleType, folder: Path) -> None:
    """A module of the folder must not be mistaken for another one of that name that was imported before."""
    top = module.__name__.partition(".")[0]
    found = getattr(sys.modules[top], "__file__", None)
    mine = [path for path in (folder / f"{top}.py", folder / top / "__init__.py") if path.is_file()]
    if mine and found is not None and not any(path.samefile(found) for path in mine):
        raise _mistake(f"the module {top!r} was already imported from {found}, not from {mine[0]}: rename one of them")


def _find(module: ModuleType, name: str, reference: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            choices = [choice for choice in dir(found) if not choice.startswith("_")]
            raise _mistake(f"there is no {name!r} in {module.__name__!r}", near=nearest(part, choices))
        found = getattr(found, part)
    if not callable(found):
        raise _mistake(f"{reference!r} is a {type(found).__name__}", expected="a function")
    return found


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - its kind is asked for, not whether there is one


def _mistake(what: str, *, expected: str | None = None, near: str | None = None) -> ConfigError:
    return ConfigError([Problem("", "", what, expected, near)])
