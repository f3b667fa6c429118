"""`dragoman completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from dragoman.cli.examples import examples


@examples(
    'eval "$(dragoman completion bash)"    # in ~/.bashrc',
    'eval "$(dragoman completion zsh)"     # in ~/.zshrc',
    "dragoman completion fish | source     # in ~/.config/fish/config.fish",
)
@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands.

    And options, and the names of clients, which it takes from the configuration.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell!r}")
    # Not `kind.source()`: bash's runs bash to learn its version, and would fail where there is none.
    made = kind(ctx.find_root().command, {}, "dragoman", "_DRAGOMAN_COMPLETE")
    click.echo(made.source_template % made.source_vars())
