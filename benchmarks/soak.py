"""What message after message leaves in the process, for each thing that a hostile guest does.

100,000 of each, for at most `SECONDS` of them; `DRAGOMAN_SOAK` sets another number of seconds. What takes long because
it moves many bytes is done twice: as it is, and with everything a hundred times smaller, its limits, too. The aim is
nothing: no memory, no file descriptor, no instance.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from tests.faults.soaking import ENDLESS, HEAVY, QUICK, soak

from benchmarks.report import Figure, report

MESSAGES: Final = 100_000
SECONDS: Final = float(os.environ.get("DRAGOMAN_SOAK", "10"))
#: Seconds after which what never ends is ended.
DEADLINE: Final = 0.002
#: What is done, in how many seconds each, and whether a hundred times smaller.
GROUPS: Final = ((QUICK, 30.0, False), (HEAVY, 30.0, True), (ENDLESS, DEADLINE, False), (HEAVY, 30.0, False))


async def measure() -> None:
    """Print the figures of each as soon as it is done."""
    for guests, deadline, small in GROUPS:
        for guest, orders in guests.items():
            for order in orders:
                found = await soak(guest, order, MESSAGES, seconds=SECONDS, deadline=deadline, small=small)
                name = f"{guest} {order}{', small' if small else ''}, {found.messages:,} messages"
                report(
                    "soak",
                    [
                        Figure(f"growth, {name}", found.bytes / 2**20, "MiB", target="<= 4"),
                        Figure(f"file descriptors, {name}", found.files, "", target="<= 0"),
                        Figure(f"instances, {name}", found.instances, "", target="<= 0"),
                    ],
                )


if __name__ == "__main__":
    logging.getLogger("tests").addHandler(logging.NullHandler())
    logging.getLogger("tests").propagate = False
    asyncio.run(measure())
