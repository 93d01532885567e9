"""What events of the Chat tab change: fields are named like the tab's parts."""

from dataclasses import dataclass

import gradio as gr

from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.messages import History
from playground.ui.components.preferences import Preferences
from playground.ui.components.sampling import ControlValues


@dataclass(frozen=True, slots=True)
class ConversationUpdate:
    """Changes of the conversation and of the box below it."""

    chatbot: History | Unchanged = UNCHANGED
    message: gr.Textbox | Unchanged = UNCHANGED
    running: str | Unchanged = UNCHANGED
    note: str | Unchanged = UNCHANGED
    meter: str | Unchanged = UNCHANGED
    conversation: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class NewChatUpdate:
    """An empty conversation, and the system prompt that it begins with."""

    chatbot: History | Unchanged
    message: gr.Textbox | Unchanged
    running: str | Unchanged
    note: str | Unchanged
    meter: str | Unchanged
    system: str
    conversation: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class IdleUpdate:
    """The message box takes messages again, and nothing runs."""

    message: gr.Textbox
    meter: str
    running: str = ""


@dataclass(frozen=True, slots=True)
class MeterUpdate:
    """What the context holds now. Counts come late at times; the note is the answers' alone."""

    meter: str


@dataclass(frozen=True, slots=True)
class RestoredUpdate:
    """What is said of the conversation that the browser kept."""

    note: str | Unchanged = UNCHANGED
    meter: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ExampleUpdate:
    """An example's prompts."""

    system: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """What goes with another model."""

    sampling: ControlValues
    chatbot: gr.Chatbot
    preferences: Preferences
    system: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class RestoreUpdate:
    """The browser's stored values."""

    model: gr.Dropdown
    system: str
    sampling: ControlValues
    chatbot: gr.Chatbot


@dataclass(frozen=True, slots=True)
class InputsUpdate:
    """Which inputs take input."""

    message: gr.Textbox
    model: gr.Dropdown
    system: gr.Textbox
    sampling: dict[str, object]


@dataclass(frozen=True, slots=True)
class PreferencesUpdate:
    """What the browser stores."""

    preferences: Preferences
