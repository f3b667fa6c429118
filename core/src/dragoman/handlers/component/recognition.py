"""Tells which generation a component was written for, and links it with what it imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from dragoman.errors import ComponentError, nearest
from dragoman.handlers.component import wasi
from dragoman.handlers.component.bodies import IMPORTS, label
from dragoman.handlers.component.generations import core, events, formats, topics, wasmcloud
from dragoman.handlers.component.generations.generation import Generation, InterfaceName
from dragoman.handlers.component.interfaces.offers import NOTHING, Offer, Offers
from dragoman.handlers.component.linker import HostFunction, Linker
from dragoman.handlers.component.types import FunctionType, Interface, Item, Shape

#: The first one that recognises a component is taken; a component that fits two exports the handlers of both.
GENERATIONS: Final[Sequence[Generation]] = (
    core.GENERATION,
    wasmcloud.GENERATION,
    wasmcloud.RESOURCES,
    topics.LATER,
    topics.EARLIER,
    formats.LATER,
    formats.EARLIER,
    events.GENERATION,
)


def recognise(shape: Shape) -> Generation:
    """The generation of a component.

    Raises:
        ComponentError: it is none that this host knows, or asynchronous as of WASI 0.3.
    """
    if name := next(_asynchronous(shape), None):
        raise ComponentError(
            f"the component is asynchronous, as of WASI 0.3: {name}", expected="a component for WASI 0.2"
        )
    for generation in GENERATIONS:
        if generation.exported(shape) is not None:
            return generation
    closest = max(GENERATIONS, key=lambda generation: _likeness(shape, generation))
    raise ComponentError(
        f"the component is of no known generation of wasi:messaging: it imports {_listed(shape.imports)}"
        f" and exports {_listed(shape.exports)}",
        expected=f"an export {closest.handler}",
        nearest=_nearest(shape),
        hint=_difference(shape, closest),
    )


def problems(shape: Shape, generation: Generation, offers: Offers = NOTHING) -> list[str]:
    """What of a component's imports nobody provides, one text each."""
    found = []
    for name, item in shape.imports.items():
        if not isinstance(item, Interface):
            found.append(f"{name}, which is a {'function' if isinstance(item, FunctionType) else item}")
        elif (provided := _provided(name, generation, offers)) is not None:
            found += _misfits(name, item, provided)
        elif not wasi.is_provided(name):
            found.append(name)
    return found


def link(linker: Linker, shape: Shape, generation: Generation, offers: Offers, thin: Item | None) -> None:
    """Provide the interfaces that a component imports, save those of the system.

    Args:
        linker: what it is linked with.
        shape: what it imports.
        generation: whose interfaces for messaging.
        offers: the others.
        thin: the functions that an adapter calls in the place of some of these, if the component is wrapped.

    Raises:
        ComponentError: it imports what nobody provides.
    """
    if missing := problems(shape, generation, offers):
        raise ComponentError(
            f"the component imports what nobody provides: {'; '.join(missing)}",
            expected=f"only interfaces of {generation.package} ({generation.name}) and of WASI 0.2",
        )
    ours = [(name, item, _provided(name, generation, offers)) for name, item in shape.imports.items()]
    # Resources first: the functions of every interface speak of them.
    for _, _, offer in ours:
        for resource in offer.resources if offer else ():
            linker.resources.setdefault(resource, len(linker.resources) + 1)
    adapted = []
    for name, item, offer in ours:
        if offer is not None and isinstance(item, Interface):
            functions = [_bound(function, type_, offer) for function, type_ in item.functions.items()]
            linker.add_interface(name, functions, [name for name in offer.resources if name in item.resources])
            adapted += [replace(function, name=label(name, function.name), thin=True) for function in functions]
    if isinstance(thin, Interface):
        linker.add_interface(IMPORTS, [function for function in adapted if function.name in thin.functions])


def _provided(name: str, generation: Generation, offers: Offers) -> Offer | None:
    """What there is for an imported interface."""
    parts = InterfaceName.parse(name)
    if parts is None:
        return None
    if parts.package != generation.package:
        return offers.get((parts.package, parts.interface))
    functions = generation.provides.get(parts.interface)
    return None if functions is None else Offer(functions, generation.resources.get(parts.interface, ()))


def _bound(name: str, type_: FunctionType, offer: Offer) -> HostFunction:
    form = next(form for form in offer.functions[name] if form.signature == type_.signature)
    return HostFunction(name, type_, form.call, form.suspends)


def _misfits(name: str, item: Interface, offer: Offer) -> Iterator[str]:
    """The functions of an interface that the host has not, or has with other types."""
    known = offer.functions
    for function, type_ in item.functions.items():
        if function not in known:
            yield f"{name}: {function}"
        elif not any(form.signature == type_.signature for form in known[function]):
            forms = " or ".join(form.signature for form in known[function])
            yield f"{name}: {function} as {type_.signature} (it is {forms})"


def _asynchronous(shape: Shape) -> Iterator[str]:
    for items in (shape.imports, shape.exports):
        for name, item in items.items():
            if isinstance(item, FunctionType) and item.is_async:
                yield name
            elif isinstance(item, Interface):
                yield from (f"{name}: {text}" for text, type_ in item.functions.items() if type_.is_async)


def _listed(items: Iterable[str]) -> str:
    names = [name for name in items if not wasi.is_provided(name)]
    return ", ".join(names) or "nothing but WASI"


def _likeness(shape: Shape, generation: Generation) -> int:
    """How much of what a component imports and exports has names of a generation."""
    interface, function = _handler(generation)
    likeness = 0
    for items, known in ((shape.imports, generation.provides), (shape.exports, {interface: (function,)})):
        for name, item in items.items():
            parts = InterfaceName.parse(name)
            if parts is not None and parts.interface in known:
                likeness += 1 + (parts.package == generation.package)
                if isinstance(item, Interface):
                    likeness += 2 * len(item.functions.keys() & set(known[parts.interface]))
    return likeness


def _difference(shape: Shape, generation: Generation) -> str:
    """How the functions that a component exports differ from what a generation would have."""
    known = f"the nearest is `{generation.name}`"
    interface, function = _handler(generation)
    for name, item in shape.exports.items():
        parts = InterfaceName.parse(name)
        if parts is not None and parts.interface == interface and isinstance(item, Interface):
            if found := item.functions.get(function):
                expected = " or ".join(generation.handles)
                return f"{known}, whose {function} is {expected}; here it is {found.signature}"
            return f"{known}; {name} has no {function}"
    return known


def _handler(generation: Generation) -> tuple[str, str]:
    """The interface of a generation's handler, and the name that its function usually has."""
    interface, _, function = generation.handler.partition(" with ")
    return interface.partition("/")[2], function.partition(":")[0]


def _nearest(shape: Shape) -> str | None:
    handlers = [generation.handler.partition(" with ")[0] for generation in GENERATIONS]
    wrong = (name for name in shape.exports if name.partition("@")[0] not in handlers)
    return next((found for name in wrong if (found := nearest(name, handlers))), None)
