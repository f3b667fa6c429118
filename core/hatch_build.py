"""Puts what `dragoman new` copies into what is built here: the template of an adapter, the guests and their WIT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where each is in the checkout, by the name that it has here.
SOURCES = {"template": "plugins/_template", "guests": "examples/guests", "wit": "wit"}
#: What was built, and the guest that `dragoman new` does not offer.
LEFT_OUT = {"__pycache__", "node_modules", "target", "guest.wasm", "seed004"}


class Templates(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the folders, from the checkout or, when a wheel is built from an sdist, from there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's build hooks."""
        root = Path(self.root)
        if version != "standard":
            return
        for name, place in SOURCES.items():
            source = next(path for path in (root / name, root.parent / place) if path.is_dir())
            target = name if self.target_name == "sdist" else f"dragoman/{name}"
            build_data["force_include"].update(
                (str(path), f"{target}/{path.relative_to(source)}")
                for path in source.rglob("*")
                if path.is_file() and not path.is_symlink() and not LEFT_OUT & set(path.parts)
            )
