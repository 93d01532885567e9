"""Handlers called without a browser: what they yield, and how Gradio's own data is made."""

from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import TypeVar

import gradio as gr
from gradio.blocks import Block, BlockFunction

from playground.backends.scripted import Script, ScriptedBackend
from playground.errors import PlaygroundError
from playground.protocol import ModelInfo
from playground.ui.components.answering import Answering
from playground.ui.components.binding import Unchanged

Update = TypeVar("Update")
Part = TypeVar("Part")


async def drain(
    updates: AsyncGenerator[Update, None], on_update: Callable[[Update], None] | None = None
) -> list[Update]:
    """Return everything that a handler yields; ``on_update`` sees an update as it comes."""
    seen = []
    async for update in updates:
        seen.append(update)
        if on_update:
            on_update(update)
    return seen


async def drain_failing(
    updates: AsyncGenerator[Update, None],
) -> tuple[list[Update], PlaygroundError]:
    """Return what a handler yields before it fails, and its error."""
    seen = []
    try:
        async for update in updates:
            seen.append(update)
    except PlaygroundError as error:
        return seen, error
    raise AssertionError("it did not fail")


def changed(part: Part | Unchanged) -> Part:
    """Part of an update that changes its component."""
    assert not isinstance(part, Unchanged)
    return part


def scripted(script: Script, *names: str) -> Answering:
    """Answers from a script, under one or several models' names."""
    models = [ModelInfo(name, context_length=4096) for name in names or ("scripted",)]
    return Answering(ScriptedBackend(script, models=models), models)


def page_request(address: str = "http://here:7860/") -> gr.Request:
    """The request of a browser that opened the page at this address."""
    request = gr.Request(session_hash="a-session")
    request.request = SimpleNamespace(base_url=address, headers={})
    return request


def events_of(page: gr.Blocks, handler: str) -> list[BlockFunction]:
    """The page's events that call the handler of this name."""
    return [event for event in page.fns.values() if event.name == handler]


def elem_ids(components: list[Block]) -> set[str | None]:
    """The ids of components, None for those without one."""
    return {component.elem_id for component in components}
