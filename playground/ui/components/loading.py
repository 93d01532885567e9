"""The notice that the model is still loading; it goes by itself. Knows no tab."""

from dataclasses import dataclass

import gradio as gr

from playground.protocol import Backend
from playground.ui.components.binding import bind
from playground.ui.components.events import UNQUEUED
from playground.ui.components.markup import render

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class LoadingParts:
    """The notice, and the timer that runs for as long as it is shown."""

    notice: gr.HTML
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class LoadingUpdate:
    """The notice and its timer, on or off."""

    notice: gr.HTML
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class LoadingHandlers:
    """The handler."""

    backend: Backend

    async def check(self) -> LoadingUpdate:
        """Show the notice while the model loads."""
        loading = self.backend.loading
        model = (await self.backend.models())[0].name
        return LoadingUpdate(
            notice=gr.HTML(render("loading.html", model=model), visible=loading),
            timer=gr.Timer(active=loading),
        )


def loading_notice(page: gr.Blocks, backend: Backend) -> gr.Timer:
    """Build the notice in the current layout. Returns its timer, whose last tick comes once the
    model is there."""
    parts = LoadingParts(
        notice=gr.HTML(visible=False, elem_id="loading", container=False),
        timer=gr.Timer(POLL_S, active=False),
    )
    check = LoadingHandlers(backend).check
    for event in (page.load, parts.timer.tick):
        event(**bind(check, parts), inputs=None, **UNQUEUED)
    return parts.timer
