"""The names inside a wrapped component.

A bag of exports, with which a component is given its imports, can't hold names such as `[method]message.data`: they
need a resource beside them, and a bag defines none. So in a wrapped component the functions of the interface `types`
go by plain names of the same length, which can be exchanged in place.
"""

from __future__ import annotations

from typing import Final

from dragoman.handlers.component.types import Interface, Shape

#: What a wrapped component imports besides.
INTERFACE: Final = "dragoman:bodies/core"
#: The functions of `types` in the `core` generation.
NAMES: Final = (
    "[static]client.connect",
    "[method]client.disconnect",
    "[constructor]message",
    "[method]message.topic",
    "[method]message.content-type",
    "[method]message.set-content-type",
    "[method]message.data",
    "[method]message.set-data",
    "[method]message.metadata",
    "[method]message.add-metadata",
    "[method]message.set-metadata",
    "[method]message.remove-metadata",
)


def spelled(name: str) -> str:
    """A function's name as it is inside a wrapped component."""
    return "a" + name[1:].replace("]", "-").replace(".", "-") if name in NAMES else name


_ORIGINAL: Final = {spelled(name): name for name in NAMES}


def plain(shape: Shape) -> Shape:
    """The shape that a wrapped component had before."""
    imports = {
        name: Interface(
            {_ORIGINAL.get(text, text): type_ for text, type_ in item.functions.items()}, item.types, item.resources
        )
        if isinstance(item, Interface)
        else item
        for name, item in shape.imports.items()
        if name != INTERFACE
    }
    return Shape(imports, shape.exports)
