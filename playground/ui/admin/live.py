"""The last minutes of the server on the Admin tab: refreshed for as long as somebody looks."""

from dataclasses import dataclass
from typing import Final

import gradio as gr

from playground.lab.live import LiveFigures
from playground.ui.admin.live_view import live_html, minutes_html
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import UNQUEUED

LOOKED_AT: Final = """() => document.documentElement.dataset.tab === "admin" &&
  Boolean(document.getElementById("ac-live")?.offsetParent)"""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """The curves, the table below them, whether they are looked at, and the clock."""

    curves: gr.HTML
    minutes: gr.HTML
    looked_at: gr.Checkbox
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """Newer figures."""

    curves: str | Unchanged
    minutes: str | Unchanged
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class LiveHandlers:
    """The handlers."""

    live: LiveFigures

    def begin(self) -> LiveUpdate:
        """Show what is known now, and go on while it is looked at."""
        return LiveUpdate(live_html(self.live), minutes_html(self.live), gr.Timer(active=True))

    def refresh(self, looked_at: bool) -> LiveUpdate:
        """Show newer figures; end where nobody looks any more."""
        if not looked_at:
            return LiveUpdate(UNCHANGED, UNCHANGED, gr.Timer(active=False))
        return self.begin()


def live_parts(live: LiveFigures) -> LiveParts:
    """Build the components in the current layout."""
    with gr.Column(elem_classes="work scrolling", elem_id="ac-live"):
        curves = gr.HTML(container=False, elem_id="ac-curves")
        minutes = gr.HTML(container=False, elem_id="ac-minutes")
        looked_at = gr.Checkbox(visible=False)
        timer = gr.Timer(live.interval_s, active=False)
    return LiveParts(curves, minutes, looked_at, timer)


def show_live(parts: LiveParts, tabs: tuple[gr.Tab, ...], live: LiveFigures) -> None:
    """Begin when one of the tabs is opened that lead there."""
    handlers = LiveHandlers(live)
    for tab in tabs:
        tab.select(**bind(handlers.begin, parts), inputs=None, **UNQUEUED)
    parts.timer.tick(
        **bind(handlers.refresh, parts), inputs=parts.looked_at, js=LOOKED_AT, **UNQUEUED
    )
