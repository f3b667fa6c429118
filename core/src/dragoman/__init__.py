"""Runs message handlers, sandboxed WebAssembly components or Python functions, on any broker."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dragoman.version import __version__

if TYPE_CHECKING:
    from dragoman.adapter import Accept, Capability, Delivery, Reject, Release, Start
    from dragoman.client import Client
    from dragoman.errors import (
        AuthenticationFailed,
        BrokerError,
        ChannelNotFound,
        Closed,
        ComponentError,
        ConfigError,
        ConnectionLost,
        DeadlineExceeded,
        DragomanError,
        HandlerError,
        HandlerFailed,
        NotGranted,
        NotHeld,
        PayloadTooLarge,
        PermissionDenied,
        PluginError,
        PublishFailed,
        Rejected,
        StorageFailed,
        TimedOut,
        Trapped,
        Unsupported,
        UnsupportedFormat,
    )
    from dragoman.handlers.handler import Context, Wanted
    from dragoman.message import Channel, FormatSpec, Message
    from dragoman.opening import connect
    from dragoman.subscription import Subscription

__all__ = [
    "Accept",
    "AuthenticationFailed",
    "BrokerError",
    "Capability",
    "Channel",
    "ChannelNotFound",
    "Client",
    "Closed",
    "ComponentError",
    "ConfigError",
    "ConnectionLost",
    "Context",
    "DeadlineExceeded",
    "Delivery",
    "DragomanError",
    "FormatSpec",
    "HandlerError",
    "HandlerFailed",
    "Message",
    "NotGranted",
    "NotHeld",
    "PayloadTooLarge",
    "PermissionDenied",
    "PluginError",
    "PublishFailed",
    "Reject",
    "Rejected",
    "Release",
    "Start",
    "StorageFailed",
    "Subscription",
    "TimedOut",
    "Trapped",
    "Unsupported",
    "UnsupportedFormat",
    "Wanted",
    "__version__",
    "connect",
]

# Each name is imported when it is first used, so that a command of the command line starts with what it needs only.
_HOMES = {
    "dragoman.adapter": ("Accept", "Capability", "Delivery", "Reject", "Release", "Start"),
    "dragoman.client": ("Client",),
    "dragoman.errors": (
        "AuthenticationFailed",
        "BrokerError",
        "ChannelNotFound",
        "Closed",
        "ComponentError",
        "ConfigError",
        "ConnectionLost",
        "DeadlineExceeded",
        "DragomanError",
        "HandlerError",
        "HandlerFailed",
        "NotGranted",
        "NotHeld",
        "PayloadTooLarge",
        "PermissionDenied",
        "PluginError",
        "PublishFailed",
        "Rejected",
        "StorageFailed",
        "TimedOut",
        "Trapped",
        "Unsupported",
        "UnsupportedFormat",
    ),
    "dragoman.handlers.handler": ("Context", "Wanted"),
    "dragoman.message": ("Channel", "FormatSpec", "Message"),
    "dragoman.opening": ("connect",),
    "dragoman.subscription": ("Subscription",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            globals()[name] = found = getattr(import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
