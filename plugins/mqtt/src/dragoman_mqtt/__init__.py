"""MQTT 5 and 3.1.1 for Dragoman, at least once."""

from dragoman_mqtt.plugin import dragoman_adapters

__all__ = ["dragoman_adapters"]
