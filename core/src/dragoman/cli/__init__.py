"""The command line: one command a module, each imported when it is used."""

from dragoman.cli.main import main

__all__ = ["main"]
