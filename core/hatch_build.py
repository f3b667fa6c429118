"""Puts the template of an adapter, from `plugins/`, into what is built here: `dragoman new adapter` copies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Template(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the folder, from the checkout or, when a wheel is built from an sdist, from there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's build hooks."""
        root = Path(self.root)
        source = next(path for path in (root / "template", root.parent / "plugins" / "_template") if path.is_dir())
        target = "template" if self.target_name == "sdist" else "dragoman/template"
        if version == "standard":
            build_data["force_include"].update(
                (str(path), f"{target}/{path.relative_to(source)}")
                for path in source.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts
            )
