"""The components of the Functions tab, without their events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gradio as gr

from playground.protocol import ModelInfo
from playground.tools import Toolbox
from playground.ui.components.ability import ability_line
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.examples import FunctionExample, examples_for
from playground.ui.components.markup import render
from playground.ui.functions.gallery import gallery_names, tools_json
from playground.ui.functions.timeline import Timeline

CHOICES: Final = (
    ("Auto: the model decides", "auto"),
    ("Required: at least one call", "required"),
    ("None: no calls", "none"),
)


@dataclass(frozen=True, slots=True)
class FunctionParts:
    """The components that events read and write. ``form`` holds the inputs that make a request, by
    the names of the handlers' arguments; some stand beside it under their own names. ``stored`` is
    the timeline as the browser keeps it.
    """

    form: dict[str, gr.Component]
    tools: gr.Code
    choice: gr.Dropdown
    gallery: gr.Dropdown
    paste: gr.Textbox
    add: gr.Button
    verdict: gr.HTML
    ability: gr.HTML
    timeline: gr.State
    stored: gr.Textbox
    conversation: gr.Textbox
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

    @property
    def model(self) -> gr.Component:
        """The choice of the model."""
        return self.form["model"]


def function_parts(
    models: Sequence[ModelInfo],
    toolbox: Toolbox,
    examples: Sequence[FunctionExample],
    code: CodeParts,
) -> FunctionParts:
    """Build the components in the current layout, set up for the first example."""
    first = examples[0].tools if examples else ("get_weather",)
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            form, gallery, paste, add, (verdict, ability) = _setup(
                models, toolbox, tools_json(first)
            )
        with gr.Column(elem_classes="work"):
            with gr.Row(elem_classes="work-head"):
                note = gr.HTML("", elem_classes="work-note", container=False)
                clear = gr.Button("New chat", size="sm", elem_id="fn-clear")
                view_code = gr.Button("View code", size="sm", elem_id="fn-code-button")
            chatbot = _chatbot(models[0])
            stored = gr.Textbox(visible="hidden", elem_id="fn-stored")
            conversation = gr.Textbox(visible="hidden", elem_id="fn-conversation")
            form["conversation"] = conversation
            panel, call, result, (run, use, deny) = _call_panel()
            message = gr.Textbox(
                label="Message",
                show_label=False,
                container=False,
                placeholder="Ask for something that one of the functions can do",
                lines=1,
                max_lines=8,
                submit_btn=True,
                elem_id="fn-message",
                elem_classes="composer",
            )
    return FunctionParts(
        form=form,
        tools=form["tools"],
        choice=form["choice"],
        gallery=gallery,
        paste=paste,
        add=add,
        verdict=verdict,
        ability=ability,
        timeline=gr.State(Timeline()),
        stored=stored,
        conversation=conversation,
        running=gr.State(""),
        chatbot=chatbot,
        message=message,
        note=note,
        panel=panel,
        call=call,
        result=result,
        run=run,
        deny=deny,
        use=use,
        clear=clear,
        view_code=view_code,
        code=code,
    )


def choice_options(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the tool choices; a function's name forces a call of it."""
    return [*CHOICES, *((f"Call {name}", f"name:{name}") for name in names)]


def _call_panel() -> tuple[gr.Column, gr.Dropdown, gr.Textbox, tuple[gr.Button, ...]]:
    """A call with its result, and the buttons Run, Use this result and Deny."""
    with gr.Column(visible=False, elem_id="fn-call-panel") as panel:
        call = gr.Dropdown([], label="Call", elem_id="fn-call")
        result = gr.Textbox(
            label="Result",
            info="What the function returns: run it, or write it yourself.",
            lines=3,
            max_lines=12,
            elem_id="fn-result",
        )
        with gr.Row():
            run = gr.Button("Run", variant="primary", size="sm", elem_id="fn-run")
            use = gr.Button("Use this result", size="sm", elem_id="fn-use")
            deny = gr.Button("Deny", size="sm", elem_id="fn-deny")
    return panel, call, result, (run, use, deny)


def _setup(
    models: Sequence[ModelInfo], toolbox: Toolbox, tools: str
) -> tuple[dict[str, gr.Component], gr.Dropdown, gr.Textbox, gr.Button, tuple[gr.HTML, gr.HTML]]:
    model = gr.Dropdown(
        [info.name for info in models], value=models[0].name, label="Model", elem_id="fn-model"
    )
    ability = ability_line("fn-ability")
    gallery = gr.Dropdown(
        gallery_names(),
        value=None,
        label="Add from the gallery",
        info="Weather answers from a bundled table of demo data.",
        elem_id="fn-gallery",
    )
    editor = gr.Code(
        tools,
        language="json",
        label="Functions",
        lines=12,
        max_lines=28,
        wrap_lines=True,
        elem_id="fn-tools",
    )
    verdict = gr.HTML("", elem_classes="verdict", container=False)
    with gr.Accordion("Paste a definition", open=False):
        paste = gr.Textbox(
            label="A Python signature, an OpenAPI operation or a JSON schema",
            placeholder="def book_table(restaurant: str, people: int = 2) -> str:",
            lines=4,
            max_lines=20,
            elem_id="fn-source",
        )
        add = gr.Button("Add to the functions", size="sm", elem_id="fn-add")
    names = [entry["function"]["name"] for entry in json.loads(tools)]
    choice = gr.Dropdown(
        choice_options(names), value="auto", label="Tool choice", elem_id="fn-choice"
    )
    parallel = gr.Checkbox(value=True, label="Parallel tool calls", elem_id="fn-parallel")
    allow, never = _permissions([item.tool.name for item in toolbox])
    with gr.Accordion("Settings", open=False):
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8, elem_id="fn-system")
        temperature = gr.Slider(
            0, 2, 0, step=0.05, label="Temperature", buttons=[], elem_id="fn-temperature"
        )
        max_tokens = gr.Slider(
            16, 4096, 512, step=16, label="Max tokens", buttons=[], elem_id="fn-max_tokens"
        )
    form = {
        "model": model,
        "tools": editor,
        "choice": choice,
        "parallel": parallel,
        "allow": allow,
        "never": never,
        "system": system,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    return form, gallery, paste, add, (verdict, ability)


def _permissions(runnable: Sequence[str]) -> tuple[gr.Dropdown, gr.Dropdown]:
    with gr.Column(visible=bool(runnable)):
        allow = gr.Dropdown(
            runnable,
            value=[],
            multiselect=True,
            label="Run without asking",
            info="All others wait for your approval.",
            elem_id="fn-allow",
        )
        never = gr.Dropdown(
            runnable, value=[], multiselect=True, label="Never run", elem_id="fn-never"
        )
    if not runnable:
        gr.HTML(render("functions/not_running.html"), elem_classes="hint", container=False)
    return allow, never


def _chatbot(model: ModelInfo) -> gr.Chatbot:
    cards = [
        {"display_text": example.title, "text": example.prompt}
        for example in examples_for(model.name).functions
    ]
    return gr.Chatbot(
        label="Timeline",
        show_label=False,
        container=False,
        elem_id="fn-chat",
        elem_classes="timeline",
        height="100%",
        placeholder=render("functions/welcome.html"),
        examples=cards or None,
        buttons=["copy"],
        autoscroll=False,
        latex_delimiters=[],
        sanitize_html=True,
        allow_tags=False,
        layout="bubble",
        feedback_options=None,
    )
