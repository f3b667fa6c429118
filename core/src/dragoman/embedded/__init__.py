"""The embedded broker: a durable log in one SQLite file, registered through the same hook as any plugin."""

from dragoman.embedded.adapter import EMBEDDED, EmbeddedAdapter, connect, dragoman_adapters
from dragoman.embedded.settings import EmbeddedConfig

__all__ = ["EMBEDDED", "EmbeddedAdapter", "EmbeddedConfig", "connect", "dragoman_adapters"]
