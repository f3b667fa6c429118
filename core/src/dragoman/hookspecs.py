"""The hooks of a plugin. Hooks register, protocols run: there is no hook per message, and none is asynchronous.

A plugin is a module (or an object) that its distribution names under the entry-point group `dragoman`:

    [project.entry-points.dragoman]
    kafka = "dragoman_kafka"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pluggy

from dragoman.adapter import AdapterType

#: The entry-point group, and the name under which pluggy knows the project.
PROJECT: Final = "dragoman"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dragoman_adapters() -> Sequence[AdapterType]:  # type: ignore[empty-body]
    """The adapters that this plugin provides. Called once, at start; it connects to nothing and is quick."""
