"""A component file that is cut off, damaged or random is an error, or runs; it never ends the process or stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.mutations import GUESTS
from tests.guests.build import ROOT, guest

#: All ten thousand with `DRAGOMAN_MUTATIONS=10000`.
COUNT = int(os.environ.get("DRAGOMAN_MUTATIONS", "1000"))
EACH = 250


def _run(seed: int) -> Counter[str]:
    command = [sys.executable, "-m", "tests.faults.mutations", str(seed), str(EACH)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60 + EACH, check=False)
    last = done.stderr.splitlines()[-1] if done.returncode else ""
    assert done.returncode == 0, f"seed {seed} ended with {done.returncode}:\n{done.stderr[-3000:]}\n{last}"
    return Counter(json.loads(done.stdout))


@pytest.mark.timeout(60 + COUNT)
def test_damaged_components_never_end_the_process() -> None:
    """Each is an error in one line, or still a component, which then handles a message or fails to."""
    for name in GUESTS:
        guest(name)  # built once, not by every process
    with ThreadPoolExecutor(2) as pool:
        outcomes = sum(pool.map(_run, range(COUNT // EACH)), Counter())
    print(f"{COUNT} damaged components: {dict(outcomes)}")
    assert outcomes.total() == COUNT
    assert outcomes["refused"] > COUNT // 2
    assert outcomes["handled"] > 0
