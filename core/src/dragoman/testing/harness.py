"""What the kit must be told about an adapter and its broker."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dragoman.adapter import AdapterType
from dragoman.message import Channel, ChannelKind


@dataclass(frozen=True, slots=True)
class Place:
    """A channel that is out of bounds.

    Attributes:
        channel: its name and kind.
        settings: the connection to try it with.
    """

    channel: Channel
    settings: Mapping[str, Any]


class Harness:
    """Subclass it, set the attributes, and where there is a server write `restart`, `cut` and `restore`.

    Every attribute without a default has to be set. None says that the broker has no such thing; the report card
    shows the cases that fall away with it.

    A harness without a server (an embedded broker, one in memory) leaves the three methods as they are: where a case
    restarts or cuts the server, the kit then closes every connection, with whatever is in hand, and opens new ones
    with the same settings; what the broker keeps must be there again. Cases that are about noticing that a
    server is gone fall away.

    Attributes:
        adapter: what is tested.
        settings: a connection that may do everything; the same broker each time.
        too_large: a body of so many bytes is more than the broker takes; None: it takes any.
        wrong_password: settings which the broker refuses; None: it asks for no password.
        forbidden: a place that the broker denies to those settings; None: it forbids nothing.
        missing: a channel that does not exist and that nobody makes; None: every channel exists once it is named.
        unreachable: settings that lead to no broker; None: there is always one.
        late_settling: whether the server writes down late what was settled, so that a crash brings accepted messages
            once more.
        patience: seconds without any progress after which a case has failed; more than the broker needs to notice that
            a member is gone, so let `settings` make that short.
        quiet: seconds in which nothing must come for the kit to believe that nothing comes.
    """

    adapter: ClassVar[AdapterType]
    settings: Mapping[str, Any]
    too_large: int | None
    wrong_password: Mapping[str, Any] | None
    forbidden: Place | None
    missing: Place | None
    unreachable: Mapping[str, Any] | None
    late_settling: bool = False
    patience: float = 20.0
    quiet: float = 0.4

    def channel(self, kind: ChannelKind) -> Channel:
        """A channel that was never used before. Override it where names have rules of their own."""
        return Channel(f"conform-{secrets.token_hex(6)}", kind)

    async def create(self, channel: Channel) -> None:
        """Make the channel on the broker, where neither the broker nor the adapter does it. Called once for each."""

    def dead_letters(self, channel: Channel) -> Channel:
        """Where the broker puts what is rejected there; needed with `Capability.DEAD_LETTER`."""
        raise NotImplementedError(f"{type(self).__name__}.dead_letters: declared, so say where they are: {channel}")

    async def written(self, channel: Channel) -> None:
        """Return when the broker would find the channel again after a crash; the cases that restart it wait for this.

        Called when the channel has been subscribed to. Leave it out where a broker that has confirmed a subscription
        has everything in its files.
        """

    async def restart(self) -> None:
        """Kill the server as a crash would, and start it again with the same data and address.

        Returns when it takes connections. Leave it out where there is no server.
        """
        raise NotImplementedError

    async def cut(self) -> None:
        """Cut the network: connections break, new ones fail. Written by whoever writes `restart`."""
        raise NotImplementedError

    async def restore(self) -> None:
        """Undo `cut`."""
        raise NotImplementedError

    @property
    def has_server(self) -> bool:
        """Whether there is a server to restart."""
        return type(self).restart is not Harness.restart


#: The attributes that have no default.
REQUIRED = ("adapter", "settings", "too_large", "wrong_password", "forbidden", "missing", "unreachable")


def check_harness(harness: Harness) -> None:
    """Find what a harness leaves out, before the first case runs.

    Raises:
        TypeError: an attribute is not set, or only a part of the server's methods is written.
    """
    missing = [name for name in REQUIRED if not hasattr(harness, name)]
    if missing:
        raise TypeError(
            f"{type(harness).__name__} must set {', '.join(missing)}; None where the broker has no such thing"
        )
    if harness.has_server and (type(harness).cut is Harness.cut or type(harness).restore is Harness.restore):
        raise TypeError(f"{type(harness).__name__} has `restart`, so it needs `cut` and `restore` too")
