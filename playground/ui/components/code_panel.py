"""The panel over the page that shows the current request as code."""

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final

import gradio as gr

from playground.protocol import Request
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import UNQUEUED
from playground.ui.components.snippets import snippets

LANGUAGES: Final = MappingProxyType(
    {
        "python": ("openai", "python"),
        "together": ("together", "python"),
        "javascript": ("JavaScript", "javascript"),
        "curl": ("curl", "shell"),
        "yaml": ("YAML", "yaml"),
    }
)
"""What each tab is called, and its language for the colours."""


@dataclass(frozen=True, slots=True)
class CodeParts:
    """Its components; each tab opens and fills its own."""

    panel: gr.Column
    python: gr.Code
    together: gr.Code
    javascript: gr.Code
    curl: gr.Code
    yaml: gr.Code
    close: gr.Button


@dataclass(frozen=True, slots=True)
class CodeUpdate:
    """Changes of the panel."""

    panel: gr.Column | Unchanged = UNCHANGED
    python: str | Unchanged = UNCHANGED
    together: str | Unchanged = UNCHANGED
    javascript: str | Unchanged = UNCHANGED
    curl: str | Unchanged = UNCHANGED
    yaml: str | Unchanged = UNCHANGED


def code_panel() -> CodeParts:
    """Build the panel in the current layout, closed. One serves all tabs."""
    codes = {}
    with gr.Column(visible=False, elem_id="code-panel", elem_classes="code-panel") as panel:
        with gr.Row(elem_classes="code-head"):
            gr.HTML("<h2>The same through the API</h2>", container=False)
            close = gr.Button("Close", size="sm", elem_classes="code-close")
        with gr.Tabs():
            for name, (title, language) in LANGUAGES.items():
                with gr.Tab(title):
                    codes[name] = gr.Code(
                        language=language, label=title, show_label=False, interactive=False
                    )
    parts = CodeParts(panel=panel, close=close, **codes)
    close.click(**bind(close_panel, parts), **UNQUEUED)
    return parts


def code_update(request: Request, base_url: str, *, needs_key: bool) -> CodeUpdate:
    """Open the panel with a request in all languages."""
    code = asdict(snippets(request, base_url, needs_key=needs_key))
    return CodeUpdate(panel=gr.Column(visible=True), **code)


def close_panel() -> CodeUpdate:
    """Hide the panel."""
    return CodeUpdate(panel=gr.Column(visible=False))
