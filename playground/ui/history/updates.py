"""What events of the sidebar change: fields are named like its parts and those of the tabs."""

from dataclasses import dataclass

import gradio as gr

from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.messages import History
from playground.ui.functions.timeline import Timeline


@dataclass(frozen=True, slots=True)
class ListUpdate:
    """The list, and how many it holds."""

    listed: str
    scope: gr.Dropdown | Unchanged = UNCHANGED
    limit: int | Unchanged = UNCHANGED
    note: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class DetailUpdate:
    """The conversation that is open, and what can be done with it."""

    panel: gr.Column
    opened: str
    title: str | Unchanged = UNCHANGED
    folder: gr.Dropdown | Unchanged = UNCHANGED
    tags: gr.Dropdown | Unchanged = UNCHANGED
    branch: gr.Dropdown | Unchanged = UNCHANGED
    turn: gr.Dropdown | Unchanged = UNCHANGED
    form: str | Unchanged = UNCHANGED
    download: gr.DownloadButton | Unchanged = UNCHANGED
    archive: gr.Button | Unchanged = UNCHANGED
    confirm: gr.Row | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ChatOpened:
    """A conversation in the Chat tab."""

    chatbot: History
    conversation: str
    system: str | Unchanged = UNCHANGED
    model: str | Unchanged = UNCHANGED
    temporary: bool | Unchanged = UNCHANGED
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class FunctionsOpened:
    """A conversation in the Functions tab. ``stored`` is what the browser keeps of it."""

    timeline: Timeline
    chatbot: History
    conversation: str
    stored: str
    tools: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class OpenUpdate:
    """A conversation that is opened, or closed as it was deleted."""

    details: DetailUpdate
    tabs: gr.Tabs | Unchanged = UNCHANGED
    chat: ChatOpened | Unchanged = UNCHANGED
    functions: FunctionsOpened | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ConfirmUpdate:
    """The question before a deletion."""

    confirm: gr.Row


@dataclass(frozen=True, slots=True)
class DownloadUpdate:
    """An export of the conversation that is open."""

    download: gr.DownloadButton


@dataclass(frozen=True, slots=True)
class BackupUpdate:
    """An export of everything."""

    backup: gr.DownloadButton


@dataclass(frozen=True, slots=True)
class NoteUpdate:
    """What came of an import."""

    note: str
