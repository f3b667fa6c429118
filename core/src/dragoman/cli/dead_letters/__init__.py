"""`dragoman dead-letters`: one module for each of its commands."""

from dragoman.cli.dead_letters.group import command

__all__ = ["command"]
