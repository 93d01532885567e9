"""What events of the Functions tab change: fields are named like the tab's parts."""

from dataclasses import dataclass

import gradio as gr

from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.messages import History
from playground.ui.functions.timeline import Timeline


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """The chosen call's result, and what can be done with it."""

    result: str
    run: gr.Button
    deny: gr.Button


@dataclass(frozen=True, slots=True)
class ConversationUpdate:
    """The conversation, the box below it, and the panel of calls."""

    timeline: Timeline
    chatbot: History
    message: gr.Textbox
    running: str
    note: str
    panel: gr.Column
    call: gr.Dropdown
    result: str
    run: gr.Button
    deny: gr.Button
    conversation: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class StoredUpdate:
    """The conversation as the browser keeps it."""

    stored: str


@dataclass(frozen=True, slots=True)
class IdleUpdate:
    """The message box takes messages again, and nothing runs."""

    message: gr.Textbox
    running: str = ""


@dataclass(frozen=True, slots=True)
class PanelUpdate:
    """Visibility of the panel of calls."""

    panel: gr.Column


@dataclass(frozen=True, slots=True)
class DefinitionsUpdate:
    """Changes of what is defined at the left."""

    tools: str | Unchanged = UNCHANGED
    choice: gr.Dropdown | str | Unchanged = UNCHANGED
    verdict: str | Unchanged = UNCHANGED
    gallery: str | Unchanged | None = UNCHANGED
    paste: str | Unchanged = UNCHANGED
    message: str | Unchanged = UNCHANGED
