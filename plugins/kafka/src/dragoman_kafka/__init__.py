"""Apache Kafka for Dragoman. The names that the entry point and users need, and nothing else."""

from dragoman_kafka.plugin import KAFKA, dragoman_adapters
from dragoman_kafka.settings import KafkaSettings

__all__ = ["KAFKA", "KafkaSettings", "dragoman_adapters"]
