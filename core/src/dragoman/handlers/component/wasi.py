"""What of the system a guest may see: nothing, unless its configuration grants it."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from time import monotonic_ns
from typing import Any, Final

from dragoman.config.model import WasiConfig
from dragoman.errors import ComponentError, Trapped
from dragoman.handlers.component import capi
from dragoman.handlers.component.linker import HostFunction, Linker
from dragoman.handlers.component.output import Output
from dragoman.handlers.component.types import FunctionType, Interface, Shape

#: The packages of WASI 0.2 that the engine provides.
_PROVIDED: Final = re.compile(r"wasi:(cli|clocks|filesystem|io|random|sockets)/[\w-]+@0\.2\.\d+")
_CLOCK: Final = re.compile(r"wasi:clocks/monotonic-clock@.+")
_RANDOM: Final = re.compile(r"wasi:random/(random|insecure)@.+")
_SOCKETS: Final = re.compile(r"wasi:sockets/(tcp|udp)-create-socket@.+")
#: Bytes of randomness that a guest may ask for at once.
_RANDOM_BYTES: Final = 2**20


def is_provided(name: str) -> bool:
    """Whether an imported interface is one of the system's."""
    return _PROVIDED.fullmatch(name) is not None


def needs(shape: Shape) -> list[str]:
    """What a component may need from its configuration's `wasi` section, as far as its imports tell."""
    names = [name.split("@")[0] for name in shape.imports if is_provided(name)]
    wants = {
        "wasi:cli/environment": "environment",
        "wasi:filesystem/preopens": "directories",
        "wasi:clocks/monotonic-clock": "sleep",
    }
    return [wanted for name, wanted in wants.items() if name in names]


class Wasi:
    """The system as one component's instances see it.

    Args:
        config: what is granted.
        shape: what the component imports.
        output_limit: bytes of each stream that reach the log, per message.
    """

    def __init__(self, config: WasiConfig, shape: Shape, output_limit: int) -> None:
        self._config = config
        self._output_limit = output_limit
        self._prints = any(name.startswith(("wasi:cli/stdout@", "wasi:cli/stderr@")) for name in shape.imports)
        self._names = _strings(config.environment)
        self._values = _strings(config.environment.values())
        self._directories = [
            (str(folder).encode(), path.encode(), writable)
            for granted, writable in ((config.directories, False), (config.writable, True))
            for path, folder in granted.items()
        ]

    def link(self, linker: Linker, shape: Shape) -> None:
        """Provide the system interfaces, without what could hold up the host.

        There are no sockets, and randomness comes in bounded portions; where waiting is not granted, the clock gives
        only the time.

        Raises:
            ComponentError: a granted folder is not there.
        """
        granted = {**self._config.directories, **self._config.writable}
        if missing := [repr(str(folder)) for folder in granted.values() if not folder.is_dir()]:
            raise ComponentError(f"there is no folder {', '.join(missing)}", expected="folders that exist in `wasi`")
        linker.add_wasi()
        for name, interface in shape.imports.items():
            if isinstance(interface, Interface) and (ours := [*self._ours(name, interface)]):
                linker.add_interface(name, ours)

    def _ours(self, name: str, interface: Interface) -> Iterable[HostFunction]:
        """The functions that are not the engine's."""
        if _CLOCK.fullmatch(name) and not self._config.sleep:
            return _clock(interface)
        if _RANDOM.fullmatch(name):
            return _random(interface)
        return _sockets(interface) if _SOCKETS.fullmatch(name) else ()

    def enter(self, context: int) -> Output | None:
        """Set up a new store; returns what will hold the guest's output, if it can print.

        Raises:
            ComponentError: a granted folder can't be opened.
        """
        wasi = capi.wasi_new()
        if self._config.environment:
            capi.wasi_environment(wasi, len(self._config.environment), self._names, self._values)
        for folder, path, writable in self._directories:
            if not capi.wasi_directory(wasi, folder, path, writable):
                capi.wasi_delete(wasi)
                raise ComponentError(f"the folder {folder.decode()!r} can't be opened", where=f"wasi: {path.decode()}")
        output = self._output(wasi) if self._prints else None
        capi.check(capi.context_wasi(context, wasi))
        return output

    def _output(self, wasi: int) -> Output:
        output = Output(self._output_limit)
        capi.wasi_output(wasi, output.stdout.path)
        capi.wasi_errors(wasi, output.stderr.path)
        output.stdout.seal()
        output.stderr.seal()
        return output


def _strings(texts: Iterable[str]) -> Any:
    encoded = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def _clock(interface: Interface) -> Iterable[HostFunction]:
    """A monotonic clock that can be read but not waited for: waiting would stop the whole host."""
    reads = {"now": lambda _session: monotonic_ns(), "resolution": lambda _session: 1}
    for name, type_ in interface.functions.items():
        if name in reads:
            yield HostFunction(name, type_, reads[name])
        else:
            yield _refused(name, "wait on a clock", "`sleep = true` in its `wasi`")


def _random(interface: Interface) -> Iterable[HostFunction]:
    """The engine's own takes any number of bytes, and as long as that takes the host would stand still."""
    for name, type_ in interface.functions.items():
        if name.endswith("-bytes"):
            yield HostFunction(name, type_, _random_bytes)
        elif name.endswith("-u64"):
            yield HostFunction(name, type_, lambda _session: int.from_bytes(os.urandom(8), "little"))


def _random_bytes(_session: object, count: int) -> bytes:
    if count > _RANDOM_BYTES:
        raise Trapped(f"the guest asks for {count} random bytes at once", expected=f"at most {_RANDOM_BYTES}")
    return os.urandom(count)


def _sockets(interface: Interface) -> Iterable[HostFunction]:
    """None can be made: a socket takes a file descriptor of the host, even where it may not connect."""
    for name in interface.functions:
        yield _refused(name, "open a socket")


def _refused(name: str, what: str, expected: str | None = None) -> HostFunction:
    def refuse(_session: object) -> None:
        raise Trapped(f"the guest wants to {what}, which is not granted", expected=expected)

    return HostFunction(name, FunctionType((), None), refuse)  # neither reads its arguments nor returns
