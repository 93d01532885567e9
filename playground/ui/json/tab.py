"""The JSON tab: a schema, one text or many, and answers that fit the schema."""

from functools import partial

import gradio as gr

from playground.ui.components.ability import AbilityParts, watch_ability
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.events import STREAM, UNQUEUED
from playground.ui.components.examples import examples_for
from playground.ui.components.keeping import keep
from playground.ui.json.events import JsonHandlers
from playground.ui.json.layout import JsonParts, json_parts


def json_tab(
    page: gr.Blocks, answering: Answering, *, needs_key: bool, code: CodeParts
) -> gr.Dropdown:
    """Build the tab in the current layout and wire its events. Returns its choice of model."""
    examples = examples_for(answering.initial_models[0].name).json
    parts = json_parts(answering.initial_models, examples, code)
    handlers = JsonHandlers(answering, examples, needs_key)
    gr.on(
        [parts.schema.change, parts.form["model"].change, page.load],
        **bind(handlers.check, parts),
        inputs=[parts.schema, parts.form["model"]],
        trigger_mode="always_last",
        **UNQUEUED,
    )
    ability = AbilityParts(parts.ability, (parts.extract, parts.extract_all))
    watch_ability(page, answering, parts.form["model"], ability, "schema")
    parts.make.click(**bind(handlers.make_schema, parts), inputs=parts.source, **UNQUEUED)
    # What was extracted is of another text or schema now.
    gr.on(
        [parts.schema.change, parts.text.change],
        None,
        None,
        [parts.badge, parts.fields, parts.tree, parts.table, parts.raw],
        js="() => ['', '', null, null, '']",
        **UNQUEUED,
    )
    for index, button in enumerate(parts.examples):
        button.click(
            **bind(partial(handlers.choose_example, index), parts), inputs=None, **UNQUEUED
        )
    _wire_one(parts, handlers)
    _wire_batch(parts, handlers)
    texts = {"text": parts.text, "source": parts.source, "texts": parts.texts}
    keep("json", parts.form | texts, page)
    return parts.form["model"]


def _wire_one(parts: JsonParts, handlers: JsonHandlers) -> None:
    extract = gr.on(
        [parts.extract.click, parts.text.submit],
        **bind(handlers.extract, parts),
        inputs=[parts.text, parts.running],
        inputs_kwargs=parts.form,
        **STREAM,
    )
    extract.failure(**bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED)
    parts.stop.click(**bind(handlers.stop), inputs=parts.running, **UNQUEUED)
    parts.view_code.click(
        **bind(handlers.code, parts.code),
        inputs=parts.text,
        inputs_kwargs=parts.form,
        **UNQUEUED,
    )


def _wire_batch(parts: JsonParts, handlers: JsonHandlers) -> None:
    batch = parts.extract_all.click(
        **bind(handlers.extract_all, parts),
        inputs=[parts.file, parts.column, parts.texts],
        inputs_kwargs=parts.form,
        **STREAM,
    )
    parts.file.change(**bind(handlers.choose_file, parts), inputs=parts.file, **UNQUEUED)
    batch.failure(**bind(handlers.reset_batch, parts), inputs=None, **UNQUEUED)
    parts.stop_all.click(
        **bind(handlers.reset_batch, parts), inputs=None, cancels=[batch], **UNQUEUED
    )
