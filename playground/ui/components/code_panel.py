"""The panel over the page that shows what was asked as code."""

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True, slots=True)
class CodeParts:
    """Its components, to be opened and filled by each tab."""

    panel: gr.Column
    python: gr.Code
    curl: gr.Code
    close: gr.Button


def code_panel(tab: str) -> CodeParts:
    """Build the panel where this is called, closed; ``tab`` begins the ids of its elements."""
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
    close.click(
        lambda: gr.Column(visible=False),
        None,
        panel,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
    return CodeParts(panel, python, curl, close)
