from collections.abc import AsyncIterator

import pytest

from dragoman.handlers.component.components import Components
from tests.component.harness import Recorder
from tests.guests.build import COMPILED


@pytest.fixture
async def components() -> AsyncIterator[Components]:
    """Components on an engine of their own, with the code that earlier runs compiled."""
    found = Components(COMPILED)
    yield found
    await found.close()


@pytest.fixture
def context() -> Recorder:
    """A context that remembers."""
    return Recorder()
