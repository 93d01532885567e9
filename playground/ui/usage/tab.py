"""The Usage tab: what answers took and cost."""

import gradio as gr

from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.usage.events import UsageHandlers
from playground.ui.usage.layout import usage_parts


def usage_tab(tab: gr.Tab, handlers: UsageHandlers) -> None:
    """Build the tab in the current layout and wire its events."""
    parts = usage_parts()
    inputs = [parts.period, parts.groups]
    tab.select(**bind(handlers.show, parts), inputs=inputs, **UNQUEUED)
    gr.on(
        [parts.period.input, parts.groups.input, parts.refresh.click],
        **bind(handlers.show, parts),
        inputs=inputs,
        **ACTION,
    )
