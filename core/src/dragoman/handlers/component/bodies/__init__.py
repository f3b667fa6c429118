"""Lets the bodies of messages cross between a guest and the host as text, forty times as fast as a list of bytes."""

from dragoman.handlers.component.bodies.spelling import EXPORTS, FORM, IMPORTS, is_respelled, label, plain, spelled
from dragoman.handlers.component.bodies.wrapper import wrapped

__all__ = ["EXPORTS", "FORM", "IMPORTS", "is_respelled", "label", "plain", "spelled", "wrapped"]
