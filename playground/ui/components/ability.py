"""Whether the chosen model can do what a tab is for: if not, the reason, and its buttons greyed
out.
"""

from dataclasses import dataclass
from typing import Literal

import gradio as gr
from gradio.blocks import Block

from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import UNQUEUED
from playground.ui.components.status import verdict

WHAT = {"tools": "does not call functions", "schema": "cannot be held to a schema"}
UNKNOWN_REASON = "its chat template has no way to"


@dataclass(frozen=True, slots=True)
class AbilityParts:
    """The line below the choice of model, and what is greyed out."""

    line: gr.HTML
    actions: tuple[gr.Component, ...]


@dataclass(frozen=True, slots=True)
class AbilityUpdate:
    """The line, and whether the tab's actions can be used."""

    line: gr.HTML
    actions: tuple[gr.Component, ...]


@dataclass(frozen=True, slots=True)
class AbilityHandlers:
    """The handler. ``kinds`` are the classes of the parts' actions."""

    answering: Answering
    capability: Literal["tools", "schema"]
    kinds: tuple[type[gr.Component], ...]

    async def check(self, model: str | None) -> AbilityUpdate:
        """Say why the model cannot; nothing where it can."""
        info = await self.answering.model(model)
        can = info.capabilities
        able = can.tools if self.capability == "tools" else can.schema
        reason = can.why_not.get(self.capability, UNKNOWN_REASON)
        text = "" if able else f"{info.name} {WHAT[self.capability]}: {reason}"
        return AbilityUpdate(
            line=gr.HTML(verdict(text, good=False) if text else "", visible=not able),
            actions=tuple(_usable(kind, able) for kind in self.kinds),
        )


def _usable(kind: type[gr.Component], able: bool) -> gr.Component:
    """A box for messages loses its send button, too."""
    if issubclass(kind, gr.Textbox):
        return kind(interactive=able, submit_btn=able)
    return kind(interactive=able)


def ability_line(name: str) -> gr.HTML:
    """The line, to be placed below the choice of model."""
    return gr.HTML("", visible=False, elem_classes="verdict", elem_id=name, container=False)


def watch_ability(
    page: gr.Blocks,
    answering: Answering,
    model: Block,
    parts: AbilityParts,
    capability: Literal["tools", "schema"],
) -> None:
    """Check it when the page is loaded and whenever the choice of model changes."""
    kinds = tuple(type(action) for action in parts.actions)
    check = AbilityHandlers(answering, capability, kinds).check
    assert isinstance(model, gr.Dropdown)
    gr.on(
        [page.load, model.change],
        **bind(check, parts),
        inputs=model,
        trigger_mode="always_last",
        **UNQUEUED,
    )
