"""Handlers that are components: opens their files and calls them for each message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dragoman.config.model import HandlerConfig
from dragoman.errors import ComponentError, HandlerError
from dragoman.handlers.component import file, pool, recognition
from dragoman.handlers.component.bodies import EXPORTS, IMPORTS, is_respelled, plain, spelled
from dragoman.handlers.component.cache import Cache, default_folder
from dragoman.handlers.component.composed import is_composed, sealed
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.generations.generation import Entry
from dragoman.handlers.component.interfaces.buckets import Stores
from dragoman.handlers.component.interfaces.keyvalue import Keyvalue
from dragoman.handlers.component.interfaces.offers import check, granted
from dragoman.handlers.component.lending import Instances
from dragoman.handlers.component.linker import Linker
from dragoman.handlers.component.program import Program
from dragoman.handlers.component.room import Room
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Interface, Shape
from dragoman.handlers.component.wasi import Wasi, is_provided
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message

_LOG: Final = logging.getLogger(__name__)
#: Idle instances that a handler with `instances = "reuse"` keeps at most.
_KEPT: Final = 64


class Components:
    """The components of one host, on one engine.

    Importing this module loads the engine's library (30 MB): do it where there is a component.

    Args:
        cache: the folder of compiled code; None for the user's cache folder.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = Cache(cache or default_folder())
        self._engine = Engine()
        self._pooled: Engine | None = None
        self._room = Room(pool.ROOM)
        self._handlers: list[ComponentHandler] = []
        self._stores = Stores()

    async def open(
        self, name: str, config: HandlerConfig, *, progress: Callable[[str], None] = _LOG.info
    ) -> ComponentHandler:
        """A handler that is ready: compiled, linked and instantiated once, to see that it can be.

        Compiling runs on a thread, so the loop goes on.

        Args:
            name: the handler's name in the configuration.
            config: with `component` set.
            progress: told in a line when something takes long.

        Raises:
            ComponentError: the file is no component that this host can run; the message says what it is.
        """
        assert config.component is not None  # noqa: S101 - the caller has looked
        path = config.component
        try:
            handler = await self._open(name, path, config, progress)
        except ComponentError as error:
            raise file.placed(error, path) from error.__cause__
        self._handlers.append(handler)
        return handler

    async def _open(
        self, name: str, path: Path, config: HandlerConfig, progress: Callable[[str], None]
    ) -> ComponentHandler:
        data = await asyncio.to_thread(file.read, path)
        if is_composed(data) and not config.limits.composed:
            data = _alone(data, name)

        def compiling() -> None:
            progress(f"{name}: compiling {path.name} ({len(data) / 1e6:.1f} MB); its code is kept for the next start")

        keyvalue = await self._keyvalue(config)
        engine = self._engine
        component = await asyncio.to_thread(engine.lasting, lambda: file.compiled(engine, self._cache, data, compiling))
        if config.instances == "fresh" and pool.fits(config.limits):
            engine, component = await self._into_pool(component, data)
        shape = read_shape(engine.pointer, component)
        program, entry = _linked(engine, component, shape, config, keyvalue)
        instances = Instances(program, self._room, _KEPT if config.instances == "reuse" else 0)
        try:
            async with asyncio.timeout(config.deadline):
                instances.put(await instances.take())
        except TimeoutError:
            instances.close()
            raise ComponentError(f"its start takes longer than its deadline of {config.deadline:g} s") from None
        except HandlerError as error:
            instances.close()
            raise ComponentError(f"the component can't be instantiated: {error}") from error
        except BaseException:
            instances.close()
            raise
        return ComponentHandler(instances, entry)

    async def _keyvalue(self, config: HandlerConfig) -> Keyvalue | None:
        if config.keyvalue is None:
            return None
        return Keyvalue(config.keyvalue, await self._stores.open(config.keyvalue.path))

    async def _into_pool(self, component: int, data: bytes) -> tuple[Engine, int]:
        """The same code on the engine with a pool; as it is where it does not fit.

        Instances that are kept don't belong there: they would take the places of those in use.
        """
        engine = self._engine
        if self._pooled is None:
            self._pooled = engine.pooled()
        if (pooled := self._pooled) is None:
            return engine, component
        try:
            # From the file where there is one: processes then share it, and memories start as a copy of its pages.
            moved = await asyncio.to_thread(
                pooled.lasting,
                lambda: self._cache.component(pooled, data, lambda: pooled.adopt(engine.serialized(component))),
            )
        except ComponentError:
            return engine, component
        engine.discard(component)
        return pooled, moved

    async def close(self) -> None:
        """Close every handler and the engines. Idempotent."""
        while self._handlers:
            await self._handlers.pop().close()
        await self._stores.close()
        self._engine.close()
        if self._pooled is not None:
            self._pooled.close()


def _alone(data: bytes, name: str) -> bytes:
    """A composed component as one of which only one part can run.

    Raises:
        ComponentError: several parts of it have code.
    """
    if (found := sealed(data)) is None:
        raise ComponentError(
            "the component is put together of several that have code, and such a one can hold up the whole host",
            hint=f"if you trust it, add `limits = {{ composed = true }}` to [handlers.{name}]",
        )
    return found


def _linked(
    engine: Engine, component: int, shape: Shape, config: HandlerConfig, keyvalue: Keyvalue | None
) -> tuple[Program, Entry]:
    calls, offers = shape.imports.get(IMPORTS), shape.exports.get(EXPORTS)
    linker = Linker(engine, spelled if is_respelled(shape) else str)
    shape = plain(shape)
    generation = recognition.recognise(shape)
    check(shape, config)
    wasi = Wasi(config.wasi, shape, config.limits.output) if any(map(is_provided, shape.imports)) else None
    program = Program(engine, component, linker, config.limits, wasi)
    if isinstance(offers, Interface):
        program.thin = offers.functions
    try:
        recognition.link(linker, shape, generation, granted(config, keyvalue), calls)
        if wasi is not None:
            wasi.link(linker, shape)
        return program, Entry(program, shape, generation)
    except BaseException:
        program.close()
        raise


class ComponentHandler:
    """One configured handler; a `dragoman.handlers.handler.Handler`."""

    def __init__(self, instances: Instances, entry: Entry) -> None:
        self._instances = instances
        self._entry = entry

    async def handle(self, messages: Sequence[Message], context: Context) -> None:
        """Handle messages in an instance of their own; see `Handler.handle`.

        Raises:
            HandlerFailed: the guest returned an error.
            Rejected: one that says that no further try is wanted.
            Trapped: it trapped, or used up what it may.
        """
        instance = await self._instances.take()
        try:
            await self._entry.handle(instance, messages, context)
        finally:
            if instance.output is not None:
                instance.output.log(context.log)
            self._instances.put(instance)

    async def wanted(self, context: Context) -> Wanted | None:
        """What the guest wants to hear, where its generation says so; None otherwise.

        The instance that is asked handles no messages.

        Raises:
            HandlerFailed, Rejected, Trapped: as `handle`.
        """
        instance = await self._instances.take()
        try:
            return await self._entry.wanted(instance, context)
        finally:
            self._instances.discard(instance)

    async def close(self) -> None:
        """Drop the instances; one that is handling a message goes when it is done. Idempotent."""
        self._instances.close()
