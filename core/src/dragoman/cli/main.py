"""The `dragoman` command: finds the module of the command that was asked for, and turns errors into lines and codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

import click

from dragoman.cli.examples import examples
from dragoman.cli.output import complain, silence
from dragoman.version import __version__

#: Each is the `command` of the module of its name, and returns the exit code, or None for 0. The text is for
#: `dragoman --help`, which imports none of them.
COMMANDS: Final[Mapping[str, str]] = {
    "run": "Run the handlers of a configuration.",
    "check": "Find all mistakes in a configuration and its handlers.",
    "send": "Send messages to a channel.",
    "tail": "Show the messages of a channel, and take none away.",
    "request": "Send a request and show its replies.",
    "dead-letters": "Look at dead letters, and send them back.",
    "inspect": "Show what a component is, and what it needs.",
    "plugins": "List the installed adapters.",
    "config": "Show a configuration as it is understood.",
    "schema": "Print the JSON Schema of a configuration.",
    "new": "Make a guest or an adapter of your own.",
    "conform": "Run the conformance kit on an adapter.",
    "completion": "Print what makes a shell complete commands.",
}

#: The variable with which a shell asks for completions.
COMPLETE: Final = "_DRAGOMAN_COMPLETE"
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130


class _Commands(click.Group):
    """Commands that are imported when they are used: `dragoman --version` must not wait for all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"dragoman.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@examples("dragoman run -c dragoman.toml")
@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dragoman", message="%(prog)s %(version)s")
@click.option("-c", "--config", "config_file", metavar="FILE", help="The configuration; dragoman.toml without it.")
@click.option("--debug", is_flag=True, envvar="DRAGOMAN_DEBUG", help="Show tracebacks; also with DRAGOMAN_DEBUG=1.")
@click.pass_context
def _dragoman(ctx: click.Context, config_file: str | None, *, debug: bool) -> None:
    """Run message handlers, WebAssembly components or Python functions, on any broker."""
    ctx.ensure_object(dict).update(config=config_file, debug=debug)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, as `run` does, and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process without it.

    Returns:
        The exit code: 0 done; 1 failed; 2 usage or configuration; 3 drained, but work had to go back; 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not have every character of a message
    debug = "--debug" in arguments or os.environ.get("DRAGOMAN_DEBUG", "") not in ("", "0")
    try:
        if instruction := os.environ.get(COMPLETE):
            return _complete(instruction)
        # Not click's own `main`: it prints an empty line for Ctrl-C, and makes a failure of a reader that is gone.
        with _dragoman.make_context("dragoman", arguments) as context:
            code = _dragoman.invoke(context)
        sys.stdout.flush()
    except BaseException as error:
        if debug and not isinstance(error, (click.exceptions.Exit, click.ClickException)):
            raise
        return _code(error)
    return code if isinstance(code, int) else 0


def _complete(instruction: str) -> int:
    from click.shell_completion import shell_complete  # noqa: PLC0415 - start fast

    return shell_complete(_dragoman, {}, "dragoman", COMPLETE, instruction)


def _code(error: BaseException) -> int:
    """The exit code of what ended a command, after the user was told."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            # Whoever read our output has had enough, as `head` does: nothing went wrong.
            silence()
            return 0
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
    return _failed(error)


def _failed(error: BaseException) -> int:
    from dragoman.errors import ComponentError, ConfigError, DragomanError, PluginError  # noqa: PLC0415 - start fast

    if isinstance(error, DragomanError):
        complain(str(error))
        return MISUSED if isinstance(error, ConfigError | PluginError | ComponentError) else FAILED
    complain(f"{type(error).__name__}: {error} (a flaw in dragoman: run dragoman --debug for the traceback)")
    return FAILED


def _unknown(name: str) -> str:
    from dragoman.errors import nearest  # noqa: PLC0415 - start fast

    closest = nearest(name, COMMANDS)
    return f"there is no command {name!r}" + (f"; did you mean {closest!r}?" if closest else "")
