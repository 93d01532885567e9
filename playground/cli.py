"""The `playground` command: serve (the default), chat, sweep, plan, bench, models, settings,
feedback, prompts, history, users, keys, usage.

Its options are generated from the settings; see `playground.commands.options`.
"""

import sys

import typer

from playground.commands.bench import bench
from playground.commands.chat import chat
from playground.commands.feedback import feedback
from playground.commands.history import history
from playground.commands.keys import keys
from playground.commands.lists import models, settings
from playground.commands.plan import plan
from playground.commands.prompts import prompts
from playground.commands.serve import serve
from playground.commands.sweep import sweep
from playground.commands.usage import usage
from playground.commands.users import users
from playground.errors import InvalidSettings, PlaygroundError

cli = typer.Typer(
    name="playground",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.callback(invoke_without_command=True)(serve)
for command in (chat, sweep, plan, bench, models, settings, feedback, usage):
    cli.command()(command)
cli.add_typer(prompts)
cli.add_typer(users)
cli.add_typer(keys)
cli.add_typer(history, name="history")


def main() -> None:
    """Run the command. Errors of ours are one line; a wrong setting exits with 2, others with 1."""
    try:
        cli()
    except InvalidSettings as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(2) from None
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None
