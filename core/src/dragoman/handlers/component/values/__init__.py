"""Values of the component model ↔ Python."""

from dragoman.handlers.component.values.place import Err, Reader, Table, Writer
from dragoman.handlers.component.values.values import Values

__all__ = ["Err", "Reader", "Table", "Values", "Writer"]
