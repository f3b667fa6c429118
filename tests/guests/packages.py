"""Worlds of tests, put together with the packages of `wit/` that they are about, as an author would do it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WIT: Final = HERE.parents[1] / "wit"
#: What the worlds in each file of `shapes` import and export, in folders of `wit/`.
PACKAGES: Final = {
    "keyvalue": (
        "interfaces/keyvalue", "interfaces/logging", "interfaces/config", "wasmcloud",
    ),
    "world": (
        "interfaces/keyvalue/2024-02", "interfaces/logging", "interfaces/config", "interfaces/config/2024-09",
        "interfaces/bus", "wasmcloud",
    ),
}  # fmt: skip


def sources(name: str) -> Sequence[Path]:
    """The files that `together` puts together."""
    packages = [file for package in PACKAGES[name] for file in sorted((WIT / package).glob("*.wit"))]
    return [HERE / "shapes" / f"{name}.wit", *packages]


def together(name: str, folder: Path) -> Path:
    """Make a folder of the worlds in `shapes/NAME.wit` and of the packages that they need."""
    folder.mkdir()
    shutil.copy(HERE / "shapes" / f"{name}.wit", folder)
    for package in PACKAGES[name]:
        place = folder / "deps" / package.replace("/", "-")
        place.mkdir(parents=True)
        for file in (WIT / package).glob("*.wit"):
            shutil.copy(file, place)
    return folder
