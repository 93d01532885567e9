"""What the Functions tab consists of: its components, unwired."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.protocol import ModelInfo
from playground.tools import Toolbox
from playground.ui.components.code_panel import CodeParts, code_panel
from playground.ui.components.examples import EMBEDDED, FunctionExample
from playground.ui.functions.gallery import gallery_names, tools_json
from playground.ui.functions.timeline import Timeline

CHOICES = (("The model decides", "auto"), ("At least one call", "required"), ("No call", "none"))
NOT_RUNNING = (
    "Tools do not run on this server: you write their results. Its administrator turns them on "
    "with <code>--run-tools</code>."
)


@dataclass(frozen=True, slots=True)
class FunctionParts:
    """The components that events read and write. ``form`` are those that say what to ask, by the
    names of the handlers' arguments.
    """

    form: dict[str, Any]
    gallery: gr.Dropdown
    paste: gr.Textbox
    add: gr.Button
    verdict: gr.HTML
    timeline: gr.State
    running: gr.State
    chatbot: gr.Chatbot
    message: gr.Textbox
    note: gr.HTML
    panel: gr.Column
    call: gr.Dropdown
    result: gr.Textbox
    run: gr.Button
    deny: gr.Button
    use: gr.Button
    clear: gr.Button
    view_code: gr.Button
    code: CodeParts


def function_parts(
    models: Sequence[ModelInfo], toolbox: Toolbox, examples: Sequence[FunctionExample]
) -> FunctionParts:
    """Build the components where this is called, set up for the first example."""
    first = examples[0].tools if examples else ("get_weather",)
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            form, gallery, paste, add, verdict = _setup(models, toolbox, tools_json(first))
        with gr.Column(elem_classes="work"):
            with gr.Row(elem_classes="work-head"):
                note = gr.HTML("", elem_classes="work-note", container=False)
                clear = gr.Button("New chat", size="sm", elem_id="fn-clear")
                view_code = gr.Button("View code", size="sm", elem_id="fn-code-button")
            chatbot = _chatbot(models[0], examples)
            with gr.Column(visible=False, elem_id="fn-call-panel") as panel:
                call = gr.Dropdown([], label="Call", elem_id="fn-call")
                result = gr.Textbox(
                    label="Result",
                    info="What the function returns; run it, or write it yourself.",
                    lines=3,
                    max_lines=12,
                    elem_id="fn-result",
                )
                with gr.Row():
                    run = gr.Button("Run", variant="primary", size="sm", elem_id="fn-run")
                    use = gr.Button("Use this result", size="sm", elem_id="fn-use")
                    deny = gr.Button("Deny", size="sm", elem_id="fn-deny")
            message = gr.Textbox(
                label="Message",
                show_label=False,
                container=False,
                placeholder="Ask for something that a function can do",
                lines=1,
                max_lines=8,
                submit_btn=True,
                elem_id="fn-message",
                elem_classes="composer",
            )
    code = code_panel("functions")
    return FunctionParts(
        form, gallery, paste, add, verdict, gr.State(Timeline()), gr.State(""), chatbot, message,
        note, panel, call, result, run, deny, use, clear, view_code, code,
    )  # fmt: skip


def choice_options(names: Sequence[str]) -> list[tuple[str, str]]:
    """What the choice of a call may be; a function's name forces a call of it."""
    return [*CHOICES, *((f"Call {name}", f"name:{name}") for name in names)]


def _setup(
    models: Sequence[ModelInfo], toolbox: Toolbox, tools: str
) -> tuple[dict[str, Any], Any, Any, Any, Any]:
    model = gr.Dropdown(
        [each.name for each in models], value=models[0].name, label="Model", elem_id="fn-model"
    )
    gallery = gr.Dropdown(
        gallery_names(),
        value=None,
        label="Add from the gallery",
        info="Weather is a bundled table of demo data.",
        elem_id="fn-gallery",
    )
    editor = gr.Code(
        tools, language="json", label="Functions", lines=12, max_lines=28, elem_id="fn-tools"
    )
    verdict = gr.HTML("", elem_classes="verdict", container=False)
    with gr.Accordion("Paste one from elsewhere", open=False):
        paste = gr.Textbox(
            label="A Python signature, an OpenAPI operation or a JSON schema",
            placeholder="def book_table(restaurant: str, people: int = 2) -> str:",
            lines=4,
            max_lines=20,
            elem_id="fn-paste",
        )
        add = gr.Button("Add to the functions", size="sm", elem_id="fn-add")
    names = [entry["function"]["name"] for entry in json.loads(tools)]
    choice = gr.Dropdown(
        choice_options(names), value="auto", label="Choice of a call", elem_id="fn-choice"
    )
    parallel = gr.Checkbox(value=True, label="Several calls at once", elem_id="fn-parallel")
    runnable = [each.tool.name for each in toolbox]
    with gr.Column(visible=bool(runnable)):
        allow = gr.Dropdown(
            runnable,
            value=[],
            multiselect=True,
            label="Run without asking",
            info="The others wait for your approval.",
            elem_id="fn-allow",
        )
        never = gr.Dropdown(
            runnable, value=[], multiselect=True, label="Never run", elem_id="fn-never"
        )
    if not runnable:
        gr.HTML(f"<p>{NOT_RUNNING}</p>", elem_classes="hint", container=False)
    with gr.Accordion("Settings", open=False):
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8, elem_id="fn-system")
        temperature = gr.Slider(0, 2, 0, step=0.05, label="Temperature", buttons=[])
        max_tokens = gr.Slider(16, 4096, 512, step=16, label="Max tokens", buttons=[])
    form = {
        "model": model, "tools": editor, "choice": choice, "parallel": parallel, "allow": allow,
        "never": never, "system": system, "temperature": temperature, "max_tokens": max_tokens,
    }  # fmt: skip
    return form, gallery, paste, add, verdict


def _chatbot(model: ModelInfo, examples: Sequence[FunctionExample]) -> Any:
    offered = examples if model.name == EMBEDDED else ()
    cards = [{"display_text": each.title, "text": each.prompt} for each in offered]
    return gr.Chatbot(
        label="Timeline",
        show_label=False,
        container=False,
        elem_id="fn-chat",
        elem_classes="timeline",
        height="100%",
        placeholder='<div class="welcome"><h2>Functions</h2><p>The model chooses a function and '
        "writes its arguments; they always fit the function's schema.</p></div>",
        examples=cards or None,
        buttons=["copy"],
        latex_delimiters=[],
        sanitize_html=True,
        allow_tags=False,
        layout="bubble",
        feedback_options=None,
    )
