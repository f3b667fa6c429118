"""Dragoman runs message handlers, sandboxed WebAssembly components or Python functions, on any broker."""

from dragoman.message import Channel, FormatSpec, Message
from dragoman.version import __version__

__all__ = ["Channel", "FormatSpec", "Message", "__version__"]
