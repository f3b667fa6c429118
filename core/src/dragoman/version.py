"""The version of the core distribution; the build reads it from here."""

__version__ = "0.1.0"
