"""`playground` without a command: the page and the API."""

from typing import Annotated

import typer

from playground import __version__
from playground.commands.options import SECTIONS, with_settings
from playground.settings import Flags, load_settings


@with_settings(*SECTIONS)
def serve(
    context: typer.Context,
    flags: Flags,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Self-hosted playground for Mistral Small and other causal language models.

    Without a command it serves the page and the API until Ctrl-C. Each option is also a line of
    playground.yaml and an environment variable; `playground settings` lists them all.
    """
    if version:
        print(f"mistral-playground {__version__}")
        raise typer.Exit
    context.obj = flags  # flags before a command hold for the command, too
    if context.invoked_subcommand:
        return
    settings = load_settings(flags)
    from playground import server

    server.serve(settings)
