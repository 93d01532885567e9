"""The JSON tab: a schema, a text or many, and answers that fit the schema."""

from functools import partial
from typing import Any

import gradio as gr

from playground.protocol import Backend
from playground.settings import Settings
from playground.ui.chat.tab import ANSWERS, QUIET
from playground.ui.components.examples import json_examples
from playground.ui.json.events import JsonMode
from playground.ui.json.layout import JsonParts, json_parts


def json_tab(page: Any, backend: Backend, settings: Settings) -> Any:
    """Build the tab where it is called and wire its events. Returns its choice of model."""
    examples = json_examples()
    parts = json_parts(backend.models(), examples)
    tab = JsonMode(backend, examples, needs_key=settings.access.api_key is not None)
    schema = parts.form["schema"]
    gr.on(
        [schema.change, page.load],
        tab.check,
        schema,
        parts.verdict,
        trigger_mode="always_last",
        **QUIET,
    )
    parts.make.click(tab.make, parts.source, schema, **QUIET)
    for index, button in enumerate(parts.examples):
        button.click(partial(tab.choose_example, index), None, [parts.text, schema], **QUIET)
    _wire_one(parts, tab)
    _wire_many(parts, tab)
    return parts.form["model"]


def _wire_one(parts: JsonParts, tab: JsonMode) -> None:
    buttons = [parts.running, parts.extract, parts.stop]
    extract = gr.on(
        [parts.extract.click, parts.text.submit],
        tab.extract,
        [parts.text, parts.running],
        [parts.badge, parts.fields, parts.tree, parts.table, parts.raw, *buttons],
        inputs_kwargs=parts.form,
        **(ANSWERS | {"show_progress": "hidden"}),
    )
    extract.failure(tab.rest, None, buttons, **QUIET)
    parts.stop.click(tab.stop, parts.running, None, **QUIET)
    parts.view_code.click(
        tab.code,
        parts.text,
        [parts.code.panel, parts.code.python, parts.code.curl],
        inputs_kwargs=parts.form,
        **QUIET,
    )


def _wire_many(parts: JsonParts, tab: JsonMode) -> None:
    buttons = [parts.extract_all, parts.stop_all]
    every = parts.extract_all.click(
        tab.extract_all,
        [parts.file, parts.texts],
        [parts.progress, parts.rows, parts.jsonl, parts.csv, *buttons],
        inputs_kwargs=parts.form,
        **(ANSWERS | {"show_progress": "hidden"}),
    )
    every.failure(tab.rest_all, None, buttons, **QUIET)
    parts.stop_all.click(tab.rest_all, None, buttons, cancels=[every], **QUIET)
