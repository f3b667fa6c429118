"""What the host is told about this plugin."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.adapter import AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from dragoman_template.adapter import connect
from dragoman_template.config import Settings

ADAPTER = AdapterType(
    name="template",
    # Replace: what the metadata of delivered messages means. RAW: plain names, as they were published.
    format=FormatSpec.RAW,
    config=Settings,
    # Replace: declare what your broker can do. The kit tests each of them, and that the others raise Unsupported.
    capabilities=frozenset(
        {
            Capability.QUEUE,
            Capability.TOPIC,
            # The dictionary plays a server that keeps what it confirmed, whatever happens to its clients.
            Capability.DURABLE,
            Capability.BACKLOG,
            Capability.ORDER,
            Capability.REDELIVERY,
            Capability.DELIVERY_COUNT,
        }
    ),
    connect=connect,
    # The number that dragoman.adapter.CONTRACT had when this was written; a host with another one refuses the plugin.
    contract=1,
    schemes=("template",),
)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """The adapters in this distribution."""
    return (ADAPTER,)
