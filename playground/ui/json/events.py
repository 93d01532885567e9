"""What happens in the JSON tab: each event as a function from values to values.

Knows which outputs an event has and in which order; which component they are is json_mode.py's
matter. The form (model, schema, instruction, settings) arrives as keyword arguments.
"""

import json
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from playground.backends.chat import answer, events
from playground.errors import InvalidRequest, RequestFailed
from playground.protocol import Backend, Event, Guarantee, Request, Sampling
from playground.structured.extraction import (
    Extracted,
    as_csv,
    as_jsonl,
    as_table,
    extract_many,
    extracted,
    field_marks,
    json_request,
    texts_of_file,
    texts_of_text,
)
from playground.structured.schema import compile_schema
from playground.tools.importers.definitions import schema_of_text
from playground.ui.components.errors import shows_errors
from playground.ui.components.examples import JsonExample
from playground.ui.components.snippets import curl_snippet, structured_snippet
from playground.ui.components.status import answer_note, verdict
from playground.ui.json.views import fields_table, progress_bar, table_of

Updates = tuple[Any, ...]
Form = Mapping[str, Any]
GUARANTEES: Mapping[Guarantee, str] = {
    "strict": "strict: no token could break the schema",
    "checked": "checked: the finished answer fits the schema",
    "none": "the answer breaks the schema",
}
SHOWN_ROWS = 200


@dataclass(frozen=True, slots=True)
class JsonMode:
    """The handlers. What answers returns: badge, fields, tree, table, raw text, running request,
    and the Extract and Stop buttons.
    """

    backend: Backend
    examples: tuple[JsonExample, ...]
    needs_key: bool

    def check(self, schema: str) -> str:
        """Whether the schema can be held, and how."""
        try:
            compiled = compile_schema(read_schema(schema))
        except InvalidRequest as error:
            return verdict(error.problem, good=False)
        return verdict(
            "held, and checked when the answer is complete"
            if compiled.needs_check
            else "held strictly: no token can break it",
            good=True,
        )

    @shows_errors
    def make(self, source: str | None) -> str:
        """A schema from what was pasted."""
        return json.dumps(schema_of_text(source or ""), indent=2, ensure_ascii=False)

    def choose_example(self, index: int) -> Updates:
        """The text and the schema of an example."""
        example = self.examples[index]
        return example.text, json.dumps(example.schema, indent=2, ensure_ascii=False)

    @shows_errors
    async def extract(self, text: str, running: str, **form: Any) -> AsyncGenerator[Updates, None]:
        """One text, streamed; an answer that breaks its schema is asked for again."""
        if running:
            return
        request = _request(form, text)
        yield _busy(request.id)
        raw, last = "", None
        try:
            async with aclosing(events(self.backend, request)) as pieces:
                async for event in pieces:
                    raw += event.text
                    last = event
                    if event.text:
                        yield (*(gr.skip(),) * 4, raw, *(gr.skip(),) * 3)
        except RequestFailed:
            last = None
        if last is None or last.guarantee == "none":
            answered = await answer(self.backend, _request(form, text))
            raw, found = answered.text, extracted(answered)
        else:
            found = _of_stream(last, raw)
        yield self._finished(request, raw, found, last)

    def stop(self, running: str) -> None:
        """The answer that is being written ends where it is."""
        if running:
            self.backend.cancel(running)

    def rest(self) -> Updates:
        """After a failure nothing runs."""
        return "", gr.Button(visible=True), gr.Button(visible=False)

    def rest_all(self) -> Updates:
        """The batch has ended or was stopped."""
        return gr.Button(visible=True), gr.Button(visible=False)

    @shows_errors
    async def extract_all(
        self, file: str | None, texts: str | None, **form: Any
    ) -> AsyncGenerator[Updates, None]:
        """Every text of the file, or else of the box; what is done stays when it is stopped."""
        every = texts_of_file(Path(file)) if file else texts_of_text(texts or "")
        if not every:
            raise InvalidRequest("texts", "drop a file or write a text a line")
        like = _request(form, every[0])
        done: list[Extracted] = []
        yield _rows(done, len(every), finished=False)
        async with aclosing(extract_many(self.backend, like, every)) as results:
            async for result in results:
                done.append(result)
                yield _rows(done, len(every), finished=len(done) == len(every))

    @shows_errors
    def code(self, page: gr.Request, text: str, **form: Any) -> Updates:
        """The panel, open, with the request as code."""
        request = _request(form, text or "…")
        held = {"name": "answer", "strict": True, "schema": request.response_schema}
        options = {"response_format": {"type": "json_schema", "json_schema": held}}
        base_url = f"{str(page.request.base_url).rstrip('/')}/v1"
        return (
            gr.Column(visible=True),
            structured_snippet(request, base_url, options, needs_key=self.needs_key),
            curl_snippet(request, base_url, options, needs_key=self.needs_key),
        )

    def _finished(
        self, request: Request, raw: str, found: Extracted, last: Event | None
    ) -> Updates:
        assert request.response_schema is not None
        if found.guarantee is None:
            badge = verdict(found.problem, good=False)
        else:
            note = GUARANTEES[found.guarantee]
            if last and last.usage and last.timings and last.finish_reason:
                note += f" · {answer_note(last.usage, last.timings, last.finish_reason)}"
            badge = verdict(note, good=found.guarantee != "none")
        shown = found.guarantee is not None
        marks = field_marks(request.response_schema, found.value) if shown else ()
        return (
            badge,
            fields_table(marks),
            found.value,
            table_of(found.value),
            raw,
            "",
            gr.Button(visible=True),
            gr.Button(visible=False),
        )


def read_schema(text: str) -> dict[str, Any]:
    """The schema of the editor. Raises `InvalidRequest` with the line of the fault."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("schema", f"not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidRequest("schema", "must be a JSON object")
    return schema


def _of_stream(last: Event, raw: str) -> Extracted:
    if last.finish_reason != "stop":
        ended = "stopped at max tokens" if last.finish_reason == "length" else "stopped by you"
        return Extracted(0, "", problem=f"{ended}, before the value was complete")
    return Extracted(0, "", json.loads(raw), last.guarantee)


def _request(form: Form, text: str) -> Request:
    if not text.strip():
        raise InvalidRequest("text", "is empty")
    sampling = Sampling(temperature=float(form["temperature"]), max_tokens=int(form["max_tokens"]))
    schema = read_schema(form["schema"])
    return json_request(form["model"], text, schema, sampling, form["instruction"])


def _busy(running: str) -> Updates:
    return "", "", None, None, "", running, gr.Button(visible=False), gr.Button(visible=True)


def _rows(done: list[Extracted], total: int, *, finished: bool) -> Updates:
    heads, table = as_table(done)
    files: list[Any] = [gr.skip(), gr.skip()]
    if finished:
        folder = Path(tempfile.mkdtemp(prefix="extraction-"))
        for at, (name, text) in enumerate(
            (("rows.jsonl", as_jsonl(done)), ("rows.csv", as_csv(done)))
        ):
            (folder / name).write_text(text, encoding="utf-8")
            files[at] = gr.DownloadButton(value=str(folder / name), visible=True)
    failed = sum(bool(row.problem) for row in done)
    shown = gr.Dataframe({"headers": heads, "data": table[:SHOWN_ROWS]}, visible=bool(done))
    running = not finished
    buttons = gr.Button(visible=finished), gr.Button(visible=running)
    return progress_bar(len(done), total, failed), shown, *files, *buttons
