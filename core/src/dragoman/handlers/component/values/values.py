"""Values of the component model ↔ Python, by converters that are built once for each type.

    bool, integers, floats   bool, int, float
    char, string             str; what is no Unicode (surrogate escapes, PEP 383) reaches a guest as U+FFFD
    list<u8>                 bytes
    list<T>, tuple, record   list, tuple, tuple of the fields
    variant                  (case, payload or None)
    enum, flags              str, frozenset of str
    option<T>                the value or None
    result<T, E>             the value (None where there is none), or `Err(payload)`
    own<R>, borrow<R>        the host's object that the handle stands for

A reader takes the table of objects and the place of a value; a writer also takes the value. A place is an index into
`memory.WORDS`: a value is four words, the first one its kind. Writers leave a valid value behind even when they raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values import cases, handles, numbers, rows, texts
from dragoman.handlers.component.values import thin as _thin
from dragoman.handlers.component.values.place import Converters, Reader, Writer, unknown

_Readers = Mapping[str, Callable[[Type, Converters], Reader]]
_Writers = Mapping[str, Callable[[Type, Converters], Writer]]
_READERS: Final[_Readers] = {**numbers.READERS, **texts.READERS, **rows.READERS, **cases.READERS, **handles.READERS}
_WRITERS: Final[_Writers] = {**numbers.WRITERS, **texts.WRITERS, **rows.WRITERS, **cases.WRITERS, **handles.WRITERS}


class Values:
    """Builds converters.

    Args:
        resources: see below.
        thin: for functions of adapters, which take values in cheaper types; see `values.thin`.

    Attributes:
        resources: the numbers of the resources that the host provides, by name.
    """

    def __init__(self, resources: Mapping[str, int], *, thin: bool = False) -> None:
        self.resources = resources
        self._readers: _Readers = {**_READERS, **_thin.READERS} if thin else _READERS
        self._writers: _Writers = {**_WRITERS, **_thin.WRITERS} if thin else _WRITERS

    def reader(self, type_: Type) -> Reader:
        """A function that reads values of a type.

        Raises:
            ComponentError: the type has values that the host can't hold.
        """
        build = self._readers.get(type_.kind)
        if build is None:
            raise unknown(type_)
        return build(type_, self)

    def writer(self, type_: Type) -> Writer:
        """A function that writes values of a type; see `reader`."""
        build = self._writers.get(type_.kind)
        if build is None:
            raise unknown(type_)
        return build(type_, self)
