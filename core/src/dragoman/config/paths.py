"""Paths in a configuration begin in the folder of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

_Model = TypeVar("_Model", bound=BaseModel)


def beside(model: _Model, folder: Path) -> _Model:
    """A copy of the model with every path in it absolute: `~` is the home, and relative ones begin in the folder."""
    fields = {name: getattr(model, name) for name in type(model).model_fields}
    changed = {name: new for name, old in fields.items() if (new := _absolute(old, folder)) is not old}
    # Whether a key was set or is a default is kept: `config show` and `repr` go by it.
    copy = model.model_copy(update=changed)
    copy.__pydantic_fields_set__.intersection_update(model.model_fields_set)
    return copy


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / _home(value)
    if isinstance(value, BaseModel):
        return beside(value, folder)
    if isinstance(value, dict):
        return {key: _absolute(item, folder) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_absolute(item, folder) for item in value)
    return value


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no home: the path stays as it was written, and its use will say so
        return path
