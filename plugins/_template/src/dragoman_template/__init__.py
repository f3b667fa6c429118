"""Dragoman's adapter for template."""

from dragoman_template.plugin import dragoman_adapters

__all__ = ["dragoman_adapters"]
