"""What events of the Prompts tab change: fields are named like the tab's parts."""

from dataclasses import dataclass

import gradio as gr

from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.prompts.editor import EditorForm


@dataclass(frozen=True, slots=True)
class ListUpdate:
    """The names of the prompts."""

    prompt: gr.Dropdown


@dataclass(frozen=True, slots=True)
class OpenUpdate:
    """Another version in the editor."""

    prompt: gr.Dropdown | Unchanged = UNCHANGED
    version: gr.Dropdown | Unchanged = UNCHANGED
    about: str | Unchanged = UNCHANGED
    name: str | Unchanged = UNCHANGED
    opened: str | Unchanged = UNCHANGED
    tags: str | Unchanged = UNCHANGED
    form: EditorForm | Unchanged = UNCHANGED
    problem: str | Unchanged = UNCHANGED
    message: str | Unchanged = UNCHANGED
    tried: dict[str, object] | Unchanged = UNCHANGED
    compared: gr.Dropdown | Unchanged = UNCHANGED
    diff: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class LinkUpdate(OpenUpdate):
    """What a permalink opens; with it, the tab."""

    tabs: gr.Tabs | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class CheckUpdate:
    """The variables that the texts use, and what is wrong with the editor's fields."""

    form: dict[str, str] | Unchanged = UNCHANGED
    problem: str | Unchanged = UNCHANGED
    tried: dict[str, object] | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class DiffUpdate:
    """Two versions side by side."""

    diff: str


@dataclass(frozen=True, slots=True)
class ExportUpdate:
    """The file to download."""

    export: gr.DownloadButton


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """The answer as it is written."""

    answer: str | Unchanged = UNCHANGED
    note: str | Unchanged = UNCHANGED
    run: gr.Button | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED
    running: str | Unchanged = UNCHANGED
