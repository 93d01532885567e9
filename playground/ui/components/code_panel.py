"""The panel over the page that shows the current request as code."""

from dataclasses import dataclass

import gradio as gr

from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import UNQUEUED


@dataclass(frozen=True, slots=True)
class CodeParts:
    """Its components; each tab opens and fills its own."""

    panel: gr.Column
    python: gr.Code
    curl: gr.Code
    close: gr.Button


@dataclass(frozen=True, slots=True)
class CodeUpdate:
    """Changes of the panel."""

    panel: gr.Column | Unchanged = UNCHANGED
    python: str | Unchanged = UNCHANGED
    curl: str | Unchanged = UNCHANGED


def code_panel(tab: str) -> CodeParts:
    """Build the panel in the current layout, closed; ``tab`` prefixes the ids of its elements."""
    with gr.Column(visible=False, elem_id=f"{tab}-code", elem_classes="code-panel") as panel:
        with gr.Row(elem_classes="code-head"):
            gr.HTML("<h2>The same through the API</h2>", container=False)
            close = gr.Button("Close", size="sm", elem_classes="code-close")
        with gr.Tabs():
            with gr.Tab("Python"):
                python = gr.Code(
                    language="python", label="Python", show_label=False, interactive=False
                )
            with gr.Tab("curl"):
                curl = gr.Code(language="shell", label="curl", show_label=False, interactive=False)
    parts = CodeParts(panel, python, curl, close)
    close.click(**bind(close_panel, parts), **UNQUEUED)
    return parts


def close_panel() -> CodeUpdate:
    """Hide the panel."""
    return CodeUpdate(panel=gr.Column(visible=False))
