"""AMQP 0-9-1 (RabbitMQ) for Dragoman. The names that the entry point and users need, and nothing else."""

from dragoman_amqp.plugin import AMQP, dragoman_adapters
from dragoman_amqp.settings import AmqpSettings

__all__ = ["AMQP", "AmqpSettings", "dragoman_adapters"]
