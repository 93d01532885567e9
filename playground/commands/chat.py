"""`playground chat`: the model in the terminal."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from playground.commands.options import with_settings
from playground.runtime import freeze_heap, quiet_libraries
from playground.settings import Flags, load_settings


@with_settings("", "model", "engine", "usage")
def chat(
    flags: Flags,
    message: Annotated[
        list[str] | None, typer.Argument(help="Answer this and exit; '-' reads standard input.")
    ] = None,
    system: Annotated[str, typer.Option("--system", "-s", help="The system prompt.")] = "",
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answer.")] = None,
) -> None:
    """Chat in the terminal, with the model loaded in this process."""
    settings = load_settings(flags)
    from playground import app, terminal

    quiet_libraries()
    with (
        app.start_backend(settings) as resident,
        app.beside_remotes(settings, resident, "terminal") as backend,
    ):
        freeze_heap()
        sampling = resident.default_model.defaults
        if temperature is not None:
            sampling = replace(sampling, temperature=temperature)
        if max_tokens is not None:
            sampling = replace(sampling, max_tokens=max_tokens)
        if seed is not None:
            sampling = replace(sampling, seed=seed)
        conversation = terminal.Conversation(backend, resident.default_model, sampling, system)
        if not message:
            terminal.converse(conversation, sys.stdout)
            return
        text = sys.stdin.read() if message == ["-"] else " ".join(message)
        conversation.ask(text, sys.stdout)
        print()
