"""One case of the kit: a plain function, and when it applies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dragoman.adapter import AdapterType, Capability
from dragoman.testing.bench import Bench
from dragoman.testing.harness import Harness

_Run = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: the module and the function, as in `delivery.bodies_survive`.
        run: the function; it raises `ConformanceError`, or what the adapter raised.
        needs: runs where all of these are declared.
        without: runs where none of these is declared.
        wants: attributes of the harness that must not be None.
        server: whether it is about a server that goes away.
        doc: what must be true, in one line.
    """

    name: str
    run: _Run
    needs: frozenset[Capability]
    without: frozenset[Capability]
    wants: tuple[str, ...]
    server: bool
    doc: str

    def applies_to(self, adapter: AdapterType) -> bool:
        """Whether the declared capabilities call for it."""
        return self.needs <= adapter.capabilities and not self.without & adapter.capabilities

    def falls_away(self, harness: Harness) -> str | None:
        """Why it can't run with this harness, or None."""
        if self.server and not harness.has_server:
            return "there is no server that could go away"
        absent = [name for name in self.wants if getattr(harness, name) is None]
        return f"the harness says that the broker has no such thing: {', '.join(absent)}" if absent else None


def case(
    *needs: Capability,
    without: tuple[Capability, ...] = (),
    wants: tuple[str, ...] = (),
    server: bool = False,
) -> Callable[[_Run], Case]:
    """Make a case of an asynchronous function. See `Case` for the arguments."""

    def made(run: _Run) -> Case:
        theme = run.__module__.rpartition(".")[2]
        doc = " ".join((run.__doc__ or "").split("\n\n")[0].split())
        return Case(f"{theme}.{run.__name__}", run, frozenset(needs), frozenset(without), wants, server, doc)

    return made
