"""The components of the Usage tab, without their events."""

from dataclasses import dataclass
from typing import Final

import gradio as gr

PERIODS: Final = (("Today", 1), ("7 days", 7), ("30 days", 30), ("All", 0))
"""Days of a period, today included; 0 for all that is kept."""
GROUPS: Final = (
    ("Model", "model"), ("Day", "day"), ("Prompt version", "prompt"),
    ("Conversation", "conversation"), ("Tab or endpoint", "source"), ("API key", "key"),
    ("User", "user"), ("Adapter version", "adapter"), ("Server", "server"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UsageParts:
    """The components that events read and write."""

    period: gr.Radio
    groups: gr.Dropdown
    refresh: gr.Button
    report: gr.HTML


def usage_parts() -> UsageParts:
    """Build the components in the current layout."""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup narrow"):
            period = gr.Radio(list(PERIODS), value=7, label="Period", elem_id="us-period")
            groups = gr.Dropdown(
                list(GROUPS),
                value=["model"],
                multiselect=True,
                label="Group by",
                elem_id="us-groups",
            )
            refresh = gr.Button("Refresh", elem_id="us-refresh")
        with gr.Column(elem_classes="work scrolling"):
            report = gr.HTML(container=False, elem_id="us-report")
    return UsageParts(period, groups, refresh, report)
