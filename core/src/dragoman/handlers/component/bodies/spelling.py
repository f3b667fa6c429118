"""The names inside a wrapped component.

A bag of exports, with which a component is given its imports, can't hold names such as `[method]message.data`: they
need a resource beside them, and a bag defines none. So where functions of such an interface are replaced, all of its
functions go by plain names of the same length, which can be exchanged in place.
"""

from __future__ import annotations

from typing import Final

from dragoman.handlers.component.types import Interface, Shape

#: In which way components are wrapped: another number for each change after which code that was compiled before can't
#: be linked any more.
FORM: Final = 4
#: What a wrapped component imports and exports besides: the functions whose bodies are texts.
IMPORTS: Final = "dragoman:bodies/imports"
EXPORTS: Final = "dragoman:bodies/exports"
#: The functions of resources of those interfaces that have functions with bodies, in all generations, and with values.
NAMES: Final = (
    "[static]client.connect",
    "[method]client.disconnect",
    "[constructor]message",
    "[method]message.topic",
    "[method]message.set-topic",
    "[method]message.content-type",
    "[method]message.set-content-type",
    "[method]message.data",
    "[method]message.set-data",
    "[method]message.metadata",
    "[method]message.add-metadata",
    "[method]message.set-metadata",
    "[method]message.remove-metadata",
    "[method]bucket.get",
    "[method]bucket.set",
    "[method]bucket.delete",
    "[method]bucket.exists",
    "[method]bucket.list-keys",
    "[static]cas.new",
    "[method]cas.current",
)


def spelled(name: str) -> str:
    """A function's name as it is inside a wrapped component whose resources' functions are replaced."""
    return "a" + name[1:].replace("]", "-").replace(".", "-") if name in NAMES else name


def label(interface: str, function: str) -> str:
    """The name of a function with texts for bodies: unique among those of one component.

    Args:
        interface: its full name.
        function: the function's name in it.
    """
    short = interface.partition("@")[0].rpartition("/")[2]
    return f"{short}-{function.lstrip('[').replace(']', '-').replace('.', '-')}"


_ORIGINAL: Final = {spelled(name): name for name in NAMES}


def is_respelled(shape: Shape) -> bool:
    """Whether functions of a component's imports go by plain names."""
    return any(
        name in _ORIGINAL for item in shape.imports.values() if isinstance(item, Interface) for name in item.functions
    )


def plain(shape: Shape) -> Shape:
    """The shape that a wrapped component had before."""
    imports = {
        name: Interface(
            {_ORIGINAL.get(text, text): type_ for text, type_ in item.functions.items()}, item.types, item.resources
        )
        if isinstance(item, Interface)
        else item
        for name, item in shape.imports.items()
        if name != IMPORTS
    }
    return Shape(imports, {name: item for name, item in shape.exports.items() if name != EXPORTS})
