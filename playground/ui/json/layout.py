"""The components of the JSON tab, without their events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gradio as gr

from playground.lab.extraction import INSTRUCTION
from playground.protocol import ModelInfo
from playground.protocol.json_types import JsonObject
from playground.ui.components.ability import ability_line
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.examples import JsonExample

EMPTY_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}


@dataclass(frozen=True, slots=True)
class JsonParts:
    """The components that events read and write. ``form`` holds the inputs that make a request, by
    the names of the handlers' arguments.
    """

    form: dict[str, gr.Component]
    schema: gr.Code
    verdict: gr.HTML
    ability: gr.HTML
    source: gr.Textbox
    make: gr.Button
    text: gr.Textbox
    examples: tuple[gr.Button, ...]
    extract: gr.Button
    stop: gr.Button
    view_code: gr.Button
    running: gr.State
    badge: gr.HTML
    fields: gr.HTML
    tree: gr.JSON
    table: gr.Dataframe
    raw: gr.Code
    code: CodeParts
    file: gr.File
    column: gr.Dropdown
    texts: gr.Textbox
    extract_all: gr.Button
    stop_all: gr.Button
    progress: gr.HTML
    rows: gr.Dataframe
    jsonl: gr.DownloadButton
    csv: gr.DownloadButton


def json_parts(
    models: Sequence[ModelInfo], examples: Sequence[JsonExample], code: CodeParts
) -> JsonParts:
    """Build the components in the current layout, set up for the first example."""
    first = examples[0] if examples else JsonExample("", "", EMPTY_SCHEMA)
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            form, (verdict, ability), source, make = _setup(models, first)
        with gr.Column(elem_classes="work scrolling"):
            text = gr.Textbox(
                first.text,
                label="Text",
                placeholder="The text to extract data from",
                lines=4,
                max_lines=16,
                elem_id="json-text",
            )
            with gr.Row(elem_classes="example-row"):
                buttons = tuple(gr.Button(example.title, size="sm") for example in examples)
            with gr.Row(elem_classes="actions"):
                extract = gr.Button("Extract", variant="primary", elem_id="json-extract")
                stop = gr.Button("Stop", elem_id="json-stop", visible=False)
                view_code = gr.Button("View code", elem_id="json-code-button")
            badge = gr.HTML("", elem_classes="verdict", elem_id="json-badge", container=False)
            fields, tree, table, raw = _answer_views()
            with gr.Accordion("Many texts", open=False, elem_id="json-batch"):
                file, column, texts = _batch_inputs()
                with gr.Row(elem_classes="actions"):
                    extract_all = gr.Button("Extract all", variant="primary", elem_id="json-all")
                    stop_all = gr.Button("Stop", visible=False, elem_id="json-stop-all")
                    jsonl = gr.DownloadButton("Download JSONL", visible=False, elem_id="json-jsonl")
                    csv = gr.DownloadButton("Download CSV", visible=False, elem_id="json-csv")
                progress, rows = _batch_results()
    return JsonParts(
        form=form,
        schema=form["schema"],
        verdict=verdict,
        ability=ability,
        source=source,
        make=make,
        text=text,
        examples=buttons,
        extract=extract,
        stop=stop,
        view_code=view_code,
        running=gr.State(""),
        badge=badge,
        fields=fields,
        tree=tree,
        table=table,
        raw=raw,
        code=code,
        file=file,
        column=column,
        texts=texts,
        extract_all=extract_all,
        stop_all=stop_all,
        progress=progress,
        rows=rows,
        jsonl=jsonl,
        csv=csv,
    )


def _setup(
    models: Sequence[ModelInfo], first: JsonExample
) -> tuple[dict[str, gr.Component], tuple[gr.HTML, gr.HTML], gr.Textbox, gr.Button]:
    model = gr.Dropdown(
        [info.name for info in models], value=models[0].name, label="Model", elem_id="json-model"
    )
    ability = ability_line("json-ability")
    schema = gr.Code(
        json.dumps(first.schema, indent=2),
        language="json",
        label="JSON schema",
        lines=14,
        max_lines=32,
        wrap_lines=True,
        elem_id="json-schema",
    )
    verdict = gr.HTML("", elem_classes="verdict", elem_id="json-verdict", container=False)
    with gr.Accordion("Make a schema", open=False):
        source = gr.Textbox(
            label="An example value or pydantic models",
            placeholder='{"name": "Ada", "age": 36}',
            lines=4,
            max_lines=24,
            elem_id="json-source",
        )
        make = gr.Button("Make schema", size="sm", elem_id="json-make")
    with gr.Accordion("Settings", open=False):
        instruction = gr.Textbox(
            INSTRUCTION,
            label="System prompt",
            info="{schema} is replaced with the schema.",
            lines=3,
            max_lines=12,
            elem_id="json-system",
        )
        temperature = gr.Slider(
            0, 2, 0, step=0.05, label="Temperature", buttons=[], elem_id="json-temperature"
        )
        max_tokens = gr.Slider(
            16, 4096, 512, step=16, label="Max tokens", buttons=[], elem_id="json-max_tokens"
        )
    form = {
        "model": model, "schema": schema, "instruction": instruction, "temperature": temperature,
        "max_tokens": max_tokens,
    }  # fmt: skip
    return form, (verdict, ability), source, make


def _answer_views() -> tuple[gr.HTML, gr.JSON, gr.Dataframe, gr.Code]:
    with gr.Tabs(elem_id="json-views"):
        with gr.Tab("Fields"):
            fields = gr.HTML("", elem_id="json-fields", container=False)
        with gr.Tab("Tree"):
            tree = gr.JSON(None, show_label=False, elem_id="json-tree")
        with gr.Tab("Table"):
            table = gr.Dataframe(None, show_label=False, interactive=False, elem_id="json-table")
        with gr.Tab("Raw"):
            raw = gr.Code(
                "",
                language="json",
                show_label=False,
                interactive=False,
                wrap_lines=True,
                elem_id="json-raw",
            )
    return fields, tree, table, raw


def _batch_inputs() -> tuple[gr.File, gr.Dropdown, gr.Textbox]:
    file = gr.File(
        label="A CSV file or a text file (one text per line or paragraph)",
        file_types=[".csv", ".tsv", ".txt", ".md"],
        height=160,
        elem_id="json-file",
    )
    column = gr.Dropdown([], label="Column with the texts", visible=False, elem_id="json-column")
    texts = gr.Textbox(label="Or texts, one per line", lines=3, max_lines=12, elem_id="json-texts")
    return file, column, texts


def _batch_results() -> tuple[gr.HTML, gr.Dataframe]:
    progress = gr.HTML("", elem_id="json-progress", container=False)
    rows = gr.Dataframe(
        None, show_label=False, interactive=False, wrap=True, visible=False, elem_id="json-rows"
    )
    return progress, rows
