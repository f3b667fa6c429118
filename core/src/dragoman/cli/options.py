"""Options and arguments that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

_Command = TypeVar("_Command", bound=Callable[..., Any])


DEFAULT: Final = "dragoman.toml"
#: Two letters at least before the colon, as a drive has one.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def config_option(command: _Command) -> _Command:
    """`-c FILE`, which may also stand before the command."""
    return click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_config_file,
        help=f"The configuration; {DEFAULT} without it.",
    )(command)


def _config_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:  # noqa: ARG001 - click's signature
    return value or Path((ctx.find_root().obj or {}).get("config") or DEFAULT)


class ClientType(click.ParamType[str]):
    """A client's name in the configuration, or a URL."""

    name = "client"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names in the configuration; none where it can't be read."""
        import tomllib  # noqa: PLC0415 - only here

        path = ctx.params.get("config_file") or _config_file(ctx, param, None)
        try:
            clients = tomllib.loads(Path(path).read_text("utf-8")).get("clients", {})
        except (OSError, ValueError):
            return []
        return [CompletionItem(name) for name in clients if name.startswith(incomplete)]


def client_argument(command: _Command) -> _Command:
    """CLIENT."""
    return click.argument("client", metavar="CLIENT", type=ClientType())(command)


def channel_argument(command: _Command) -> _Command:
    """CHANNEL, as `dragoman.message.Channel.parse` reads it."""
    return click.argument("channel", metavar="CHANNEL", callback=_channel)(command)


def _channel(ctx: click.Context, param: click.Parameter, value: str) -> Any:
    from dragoman.message import Channel  # noqa: PLC0415 - the help must come fast

    try:
        return Channel.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def is_url(client: str) -> bool:
    """Whether what was given as CLIENT is a URL, not a name."""
    return _URL.match(client) is not None


class DurationType(click.ParamType[float]):
    """A duration with a unit, as in the configuration; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        from dragoman.config.units import duration  # noqa: PLC0415 - the help must come fast

        try:
            return duration(float(value) if re.fullmatch(r"\d+(\.\d+)?", str(value)) else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MomentType(click.ParamType[datetime]):
    """A date, a date and a time, or a duration before now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Aware; what names no time zone is local time."""
        from dragoman.config.units import duration  # noqa: PLC0415 - the help must come fast

        with suppress(ValueError):
            return datetime.fromisoformat(str(value)).astimezone()
        with suppress(ValueError, OverflowError):
            return datetime.now(UTC) - timedelta(seconds=duration(value))
        raise click.BadParameter(
            f"{value!r} is no time; expected such as 2026-01-31, '2026-01-31 14:00' or 2h, for 2 hours ago", ctx, param
        )


def metadata_options(command: _Command) -> _Command:
    """`--meta`, `--key` and `--content-type`; the command gets them as `template`, a message without data."""

    @functools.wraps(command)
    def with_template(
        *, meta: tuple[tuple[str, str], ...], key: str | None, content_type: str | None, **rest: Any
    ) -> Any:
        from dragoman.message import Message  # noqa: PLC0415 - the help must come fast

        template = Message.of(b"", key=key, content_type=content_type, metadata=meta)
        return command(template=template, **rest)

    made: Any = with_template
    for option in (
        click.option("--content-type", metavar="TYPE", help="The media type, such as application/json."),
        click.option("--key", metavar="KEY", help="Messages of one key stay in order."),
        click.option("--meta", metavar="NAME=VALUE", multiple=True, callback=_pairs, help="Metadata; may be repeated."),
    ):
        made = option(made)
    return made  # type: ignore[no-any-return]


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [value.partition("=") for value in values]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise click.BadParameter(f"{name + equals!r} is not NAME=VALUE", ctx, param)
    return tuple((name, value) for name, _, value in pairs)
