"""Worlds of tests, put together with the packages of `wit/` that they are about, as an author would do it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WIT: Final = Path(__file__).parents[2] / "wit"
#: What each world of a test imports and exports, in folders of `wit/`.
PACKAGES: Final = {
    "keyvalue": (
        "interfaces/keyvalue", "interfaces/logging", "interfaces/config", "wasmcloud",
    ),
    "shapes": (
        "interfaces/keyvalue/2024-02", "interfaces/logging", "interfaces/config", "interfaces/config/2024-09",
        "interfaces/bus", "wasmcloud",
    ),
}  # fmt: skip


def sources(name: str) -> Sequence[Path]:
    """The files that `together` puts together."""
    return [file for package in PACKAGES[name] for file in sorted((WIT / package).glob("*.wit"))]


def together(world: Path, name: str, folder: Path) -> Path:
    """Make a folder of a world and the packages that it needs.

    Args:
        world: its file.
        name: which packages, in `PACKAGES`.
        folder: to be made.
    """
    folder.mkdir()
    shutil.copy(world, folder)
    for package in PACKAGES[name]:
        place = folder / "deps" / package.replace("/", "-")
        place.mkdir(parents=True)
        for file in (WIT / package).glob("*.wit"):
            shutil.copy(file, place)
    return folder
