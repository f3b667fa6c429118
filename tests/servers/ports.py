"""Ports on loopback that stay ours while a server is down."""

from __future__ import annotations

import random
import socket
from typing import Final

#: Below what Linux gives to outgoing connections: nobody gets one of these by chance between a kill and a restart.
_RANGE: Final = range(16_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A port on loopback that nothing listens on, never given twice by this process."""
    # The system's choice and not random's state: hypothesis seeds that one, and parallel sessions must differ.
    dice = random.SystemRandom()
    for _ in range(1000):
        port = dice.choice(_RANGE)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port on loopback in {_RANGE}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
