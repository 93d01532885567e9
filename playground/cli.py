"""The `playground` command: serve (the default), chat, sweep, eval, plan, bench, models, settings,
feedback, prompts, history, users, keys, links, usage.

Its options are generated from the settings; see `playground.commands.options`. Commands that read
the database are imported when they are called: SQLAlchemy takes longer to import than all others.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from playground.commands.bench import bench
from playground.commands.chat import chat
from playground.commands.evaluate import evaluate
from playground.commands.lists import models, settings
from playground.commands.plan import plan
from playground.commands.serve import serve
from playground.commands.sweep import sweep
from playground.errors import InvalidSettings, PlaygroundError
from playground.runtime import delay_collection

if TYPE_CHECKING:
    from typer._click import Command, Context

OF_THE_DATABASE = ("feedback", "prompts", "users", "keys", "links", "history", "usage")
"""Each the name of a module in `playground.commands` and of the command in it."""


class Commands(TyperGroup):
    """All commands; those of the database are imported when they are asked for."""

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the commands' names in the order of the help."""
        return [*super().list_commands(ctx), *OF_THE_DATABASE]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """Return a command by its name; None if there is none."""
        if cmd_name not in OF_THE_DATABASE:
            return super().get_command(ctx, cmd_name)
        found = getattr(import_module(f"playground.commands.{cmd_name}"), cmd_name)
        if not isinstance(found, typer.Typer):
            command, found = found, typer.Typer(add_completion=False)
            found.command(cmd_name)(command)
        named = typer.main.get_command(found)
        named.name = cmd_name
        return named


cli = typer.Typer(
    cls=Commands,
    name="playground",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.callback(invoke_without_command=True)(serve)
for command in (chat, sweep, plan, bench, models, settings):
    cli.command()(command)
cli.command("eval")(evaluate)


def main() -> None:
    """Run the command. Errors of ours are one line; a wrong setting exits with 2, others with 1."""
    delay_collection()
    try:
        cli()
    except InvalidSettings as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(2) from None
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None
