"""`dragoman run`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click

from dragoman.cli.events import Events
from dragoman.cli.examples import examples
from dragoman.cli.logs import logged
from dragoman.cli.options import DurationType, config_option
from dragoman.cli.output import warn
from dragoman.cli.serving import Served, serve
from dragoman.cli.view import View
from dragoman.config.load import load
from dragoman.config.secrets import in_logs, mask
from dragoman.errors import ConfigError, Problem
from dragoman.host.host import Host
from dragoman.host.workers.supervisor import Workers
from dragoman.host.workers.supervisor import command as start_of
from dragoman.observe import traces
from dragoman.plugins import load_plugins

_LEVELS = ["debug", "info", "warning", "error"]


@examples("dragoman run", "dragoman run --workers 4", "dragoman run -c dragoman.toml --log-level debug | jq .")
@click.command("run")
@config_option
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N", help="How many processes; `host.workers` without it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, also on a terminal.")
@click.option("--interval", type=DurationType(), default="5s", show_default=True, help="Between lines of counters.")
@click.option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True, help="What is logged.")
def command(*, config_file: Path, workers: int | None, as_json: bool, interval: float, log_level: str) -> int:
    """Run the handlers of a configuration.

    On a terminal it shows live counters for each handler below the log; in a pipe it prints JSON lines: the log,
    `ready` when every subscription is confirmed, and counters.

    Ctrl-C or SIGTERM drains: it receives no more, finishes what is in hand within `host.grace`, and ends with 0, or
    with 3 if some of it had to go back to the broker. A second one ends it at once, with 130; nothing is lost either
    way.

    `observe.address` of the configuration says where `/metrics` (Prometheus), `/live` and `/ready` are answered.

    Several workers share the handlers' groups. One that dies is started again; one that keeps dying ends all, with 1.
    """
    plugins = load_plugins()
    for problem in plugins.problems:
        warn(str(problem))
    config = load(config_file, plugins)
    if not config.handlers:
        what = "there are no handlers, so there is nothing to run"
        raise ConfigError([Problem(str(config_file), "handlers", what, hint="write a table [handlers.NAME]")])
    count = workers or config.host.workers
    secrets = in_logs(config, plugins)
    view = _view(interval, lambda text: mask(text, secrets), as_json=as_json)
    try:
        with logged(view, log_level):
            host: Served
            if count == 1:
                traces.configure(config.observe.traces)
                host = Host(config, plugins=plugins, folder=config_file.absolute().parent)
            else:
                start, names = start_of(config_file, log_level=log_level), list(config.handlers)
                host = Workers(start, count, handlers=names, watcher=view, grace=config.host.grace)
            return asyncio.run(serve(host, config, view))
    finally:
        view.close()


def _view(interval: float, clean: Callable[[str], str], *, as_json: bool) -> View:
    if as_json or not sys.stdout.isatty():
        return Events(interval, clean)
    from dragoman.cli.live import Live  # noqa: PLC0415 - takes a while to import, and only a terminal needs it

    return Live(clean)
