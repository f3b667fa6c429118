"""Finds out what a pydantic model says about a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from dragoman.config.keys import KeyPath


def at(annotation: Any, path: KeyPath) -> Iterator[Any]:
    """The annotations of what is at that path inside a value of this annotation; several for a union."""
    for choice in choices(annotation):
        if path:
            yield from _inside(choice, path)
        else:
            yield choice


def choices(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, `None` left out; anything else is its own only one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from choices(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for argument in get_args(annotation):
            yield from choices(argument)
    elif annotation is not NoneType:
        yield annotation


def keys(model: type[BaseModel]) -> list[str]:
    """The keys that users may write for the model's fields."""
    return [field.alias or name for name, field in model.model_fields.items()]


def mentions(annotation: Any, *types: type) -> bool:
    """Whether one of the types is the annotation, or somewhere in its arguments."""
    return annotation in types or any(mentions(argument, *types) for argument in get_args(annotation))


def is_model(annotation: Any) -> bool:
    """Whether the annotation is a pydantic model."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(annotation: Any, path: KeyPath) -> Iterator[Any]:
    origin = get_origin(annotation)
    if is_model(annotation):
        for name, field in annotation.model_fields.items():
            if path[0] in (name, field.alias):
                yield from at(field.annotation, path[1:])
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from at(get_args(annotation)[1], path[1:])
    elif isinstance(origin, type) and issubclass(origin, Sequence | frozenset | set) and isinstance(path[0], int):
        yield from at(get_args(annotation)[0], path[1:])
