"""NATS for Dragoman: JetStream at least once, core NATS at most once."""

from dragoman_nats.plugin import dragoman_adapters

__all__ = ["dragoman_adapters"]
