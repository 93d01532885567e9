"""What happens in the JSON tab: each event is a method from values to named updates.

The form (model, schema, instruction, settings) arrives as keyword arguments.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict, Unpack

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab.extraction import Extracted, extracted, json_request
from playground.lab.extraction_files import (
    NO_HEADER,
    as_csv,
    as_jsonl,
    as_table,
    columns_of_file,
    texts_of_file,
    texts_of_text,
)
from playground.protocol import (
    Answer,
    AnswerBuilder,
    FinishReason,
    Guarantee,
    Request,
    Sampling,
)
from playground.protocol.json_types import JsonObject, parse_json
from playground.structured.field_marks import field_marks
from playground.structured.schema import compile_schema
from playground.tools.importers.definitions import schema_of_text
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.downloads import download_file
from playground.ui.components.examples import JsonExample
from playground.ui.components.snippets import api_address
from playground.ui.components.status import answer_note, verdict
from playground.ui.json.views import Table, batch_progress, fields_table, table_of

GUARANTEES: Final[Mapping[Guarantee, str]] = MappingProxyType(
    {
        "strict": "Strict: every token was constrained to the schema",
        "checked": "Checked: the finished answer fits the schema",
        "none": "The answer does not fit the schema",
    }
)
ENDINGS: Final[Mapping[FinishReason, str]] = MappingProxyType(
    {
        "length": "Stopped at max tokens, before the value was complete",
        "cancelled": "Stopped by you, before the value was complete",
    }
)
SHOWN_ROWS = 200


class JsonForm(TypedDict):
    """The inputs that make a request, by the names of the handlers' arguments."""

    model: str
    schema: str
    instruction: str
    temperature: float
    max_tokens: float


@dataclass(frozen=True, slots=True)
class SchemaUpdate:
    """Another schema, or what is said of the one in the editor."""

    schema: str | Unchanged = UNCHANGED
    verdict: str | Unchanged = UNCHANGED
    text: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ButtonsUpdate:
    """Extract or Stop, and the request that runs."""

    extract: gr.Button
    stop: gr.Button
    running: str = ""


@dataclass(frozen=True, slots=True)
class AnswerUpdate:
    """An answer in all its views."""

    badge: str | Unchanged = UNCHANGED
    fields: str | Unchanged = UNCHANGED
    tree: object = UNCHANGED
    table: Table | Unchanged | None = UNCHANGED
    raw: str | Unchanged = UNCHANGED
    extract: gr.Button | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED
    running: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ColumnUpdate:
    """The columns of a file."""

    column: gr.Dropdown


@dataclass(frozen=True, slots=True)
class BatchUpdate:
    """How far a batch is, and its files when it is done."""

    extract_all: gr.Button
    stop_all: gr.Button
    progress: str | Unchanged = UNCHANGED
    rows: gr.Dataframe | Unchanged = UNCHANGED
    jsonl: gr.DownloadButton | Unchanged = UNCHANGED
    csv: gr.DownloadButton | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class JsonHandlers:
    """The handlers."""

    answering: Answering
    examples: tuple[JsonExample, ...]
    needs_key: bool

    async def check(self, schema: str, model: str | None) -> SchemaUpdate:
        """Say how far the schema can be enforced, or what is wrong with it."""
        try:
            compiled = compile_schema(read_schema(schema))
        except InvalidRequest as error:
            return SchemaUpdate(verdict=verdict(error.problem, good=False))
        text = "Constrained strictly: every token fits the schema"
        if compiled.needs_check:
            text = "Constrained in part; checked when the answer is complete"
        can = (await self.answering.model(model)).capabilities
        if not can.enforces:
            text = "Asked of the model's server; checked here when the answer is complete"
        if not can.schema:
            text = "The schema is valid"
        return SchemaUpdate(verdict=verdict(text, good=True))

    def make_schema(self, source: str | None) -> SchemaUpdate:
        """Make a schema from what was pasted."""
        return SchemaUpdate(schema=_pretty(schema_of_text(source or "")))

    def choose_example(self, index: int) -> SchemaUpdate:
        """Fill in the text and the schema of an example."""
        example = self.examples[index]
        return SchemaUpdate(text=example.text, schema=_pretty(example.schema))

    async def extract(
        self, text: str, running: str, **form: Unpack[JsonForm]
    ) -> AsyncGenerator[AnswerUpdate, None]:
        """Extract from one text, streamed; an answer that breaks its schema is asked for again."""
        if running:
            return
        request = _request(form, text)
        yield _started(request.id)
        builder, answer = AnswerBuilder(), None
        async with aclosing(self.answering.stream(request)) as events:
            async for event in events:
                answer = builder.add(event)
                if answer is None:
                    yield AnswerUpdate(raw=builder.text)
        if answer is None or answer.guarantee == "none":
            answer = await self.answering.answer(_request(form, text))
        yield await asyncio.to_thread(_finished, request, answer)  # it validates the answer

    def stop(self, running: str) -> None:
        """End the answer that is being written."""
        self.answering.cancel(running)

    def reset_inputs(self) -> ButtonsUpdate:
        """After a failure: nothing runs."""
        return ButtonsUpdate(gr.Button(visible=True), gr.Button(visible=False))

    def reset_batch(self) -> BatchUpdate:
        """The batch has ended or was stopped."""
        return BatchUpdate(gr.Button(visible=True), gr.Button(visible=False))

    def choose_file(self, file: str | None) -> ColumnUpdate:
        """Offer the columns of a CSV file; the one that is chosen is no guess that goes unsaid."""
        columns = columns_of_file(Path(file)) if file else None
        if columns is None:
            return ColumnUpdate(gr.Dropdown([], value=None, visible=False))
        options = [(name, name) for name in columns.names]
        if len(columns.names) == 1:
            options.append(("No header: each line is a text", NO_HEADER))
        info = "" if columns.is_known else "No column is called “text”: choose one."
        chosen = gr.Dropdown(options, value=columns.guess, info=info, visible=True)
        return ColumnUpdate(chosen)

    async def extract_all(
        self, file: str | None, column: str | None, texts: str | None, **form: Unpack[JsonForm]
    ) -> AsyncGenerator[BatchUpdate, None]:
        """Extract from each text of the file, or else of the box; finished rows stay when it is
        stopped.
        """
        batch = texts_of_file(Path(file), column) if file else texts_of_text(texts or "")
        if not batch:
            raise InvalidRequest("texts", "drop a file, or write one text per line")
        like = _request(form, batch[0])
        done: list[Extracted] = []
        yield _batch_update(done, len(batch))
        async with aclosing(self.answering.extract_each(like, batch)) as results:
            async for result in results:
                done.append(result)
                yield _batch_update(done, len(batch))

    def code(self, page: gr.Request, text: str, **form: Unpack[JsonForm]) -> CodeUpdate:
        """Open the panel with the request as code."""
        request = _request(form, text or "…")
        return code_update(request, api_address(page), needs_key=self.needs_key)


def read_schema(text: str) -> JsonObject:
    """Return the schema of the editor. Raises `InvalidRequest` with the line of the error."""
    try:
        schema = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("schema", f"not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidRequest("schema", "must be a JSON object")
    return schema


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _schema_of(request: Request) -> Mapping[str, object]:
    return request.response_format.schema if request.response_format else {}


def _request(form: JsonForm, text: str) -> Request:
    if not text.strip():
        raise InvalidRequest("text", "is empty")
    sampling = Sampling(temperature=float(form["temperature"]), max_tokens=int(form["max_tokens"]))
    schema = read_schema(form["schema"])
    return json_request(form["model"], text, schema, sampling, form["instruction"])


def _started(running: str) -> AnswerUpdate:
    return AnswerUpdate(
        badge="",
        fields="",
        tree=None,
        table=None,
        raw="",
        extract=gr.Button(visible=False),
        stop=gr.Button(visible=True),
        running=running,
    )


def _finished(request: Request, answer: Answer) -> AnswerUpdate:
    result = extracted(answer)
    if result.guarantee is None:
        problem = ENDINGS.get(answer.finish_reason, result.problem)
        badge = verdict(problem, good=False)
    else:
        note = f"{GUARANTEES[result.guarantee]} · {answer_note(answer)}"
        badge = verdict(note, good=result.guarantee != "none")
    marks = field_marks(_schema_of(request), result.value) if result.guarantee is not None else ()
    return AnswerUpdate(
        badge=badge,
        fields=fields_table(marks),
        tree=_tree_of(result.value),
        table=table_of(result.value),
        raw=answer.text,
        extract=gr.Button(visible=True),
        stop=gr.Button(visible=False),
        running="",
    )


def _tree_of(value: object) -> object:
    """Return what Gradio's JSON view (6.31) shows as this value: it takes a text for JSON."""
    return value if value is None or isinstance(value, dict | list) else json.dumps(value)


def _batch_update(done: list[Extracted], total: int) -> BatchUpdate:
    finished = len(done) == total
    heads, table = as_table(done)
    update = BatchUpdate(
        extract_all=gr.Button(visible=finished),
        stop_all=gr.Button(visible=not finished),
        progress=batch_progress(len(done), total, sum(bool(row.problem) for row in done)),
        rows=gr.Dataframe({"headers": heads, "data": table[:SHOWN_ROWS]}, visible=bool(done)),
    )
    if not finished:
        return update
    jsonl, csv = (
        download_file("rows.jsonl", as_jsonl(done)),
        download_file("rows.csv", as_csv(done)),
    )
    return replace(
        update,
        jsonl=gr.DownloadButton(value=jsonl, visible=True),
        csv=gr.DownloadButton(value=csv, visible=True),
    )
