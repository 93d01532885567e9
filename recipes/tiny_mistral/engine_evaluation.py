"""Evaluation of the published model through the engine, with the grammars that users get.

The engine constrains answers by the tools' grammar where a row has tools, and by the schema's where
its system prompt has a schema.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import (
    Answer,
    Backend,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    answer,
)
from playground.protocol.json_types import JsonSchema, object_at, parse_object, text_at
from recipes.tiny_mistral.checkpoint import TOKENIZER_FILE
from recipes.tiny_mistral.corpus import CorpusCall, CorpusRow, CorpusTurn
from recipes.tiny_mistral.evaluation import MAX_NEW_TOKENS, TABLE_HEAD, FamilyScore, evaluate
from recipes.tiny_mistral.rendering import Renderer

MAX_CONCURRENT = 32


def evaluate_through_engine(folder: Path, rows_per_family: int) -> list[FamilyScore]:
    """Evaluate the model published in ``folder``."""
    with LocalBackend(load(ModelSpec(str(folder)))) as backend:
        print(TABLE_HEAD, flush=True)
        return evaluate(EngineAnswerer(backend, Renderer(folder / TOKENIZER_FILE)), rows_per_family)


class EngineAnswerer:
    """Answers rows through a backend, with its first model unless one is named."""

    def __init__(self, backend: Backend, renderer: Renderer, model: str | None = None) -> None:
        self._backend = backend
        self._renderer = renderer
        self._model = model or asyncio.run(backend.models())[0].name

    def __call__(self, rows: Sequence[CorpusRow]) -> list[CorpusTurn]:
        """Return one answer per row, in the rows' order."""
        return [_to_turn(reply) for reply in asyncio.run(self._answer_all(rows))]

    async def _answer_all(self, rows: Sequence[CorpusRow]) -> list[Answer]:
        slots = asyncio.Semaphore(MAX_CONCURRENT)

        async def answer_row(row: CorpusRow) -> Answer:
            async with slots:
                return await answer(self._backend, self._request(row))

        return list(await asyncio.gather(*map(answer_row, rows)))

    def _request(self, row: CorpusRow) -> Request:
        functions = [object_at(tool, "function") for tool in row.tools]
        schema = _schema(row)
        return Request(
            self._model,
            prompt=tuple(self._renderer.prompt(row)),
            tools=tuple(
                Tool(text_at(f, "name"), text_at(f, "description"), object_at(f, "parameters"))
                for f in functions
            ),
            response_format=ResponseFormat(schema) if schema else None,
            sampling=Sampling(temperature=0.0, max_tokens=MAX_NEW_TOKENS),
        )


def _schema(row: CorpusRow) -> JsonSchema | None:
    """Return the schema in an extraction row's system prompt, if it has one."""
    if row.family != "extraction" or row.turns[0].role != "system":
        return None
    text = row.turns[0].text
    return parse_object(text[text.index("{") :])


def _to_turn(reply: Answer) -> CorpusTurn:
    if reply.calls:
        calls = (CorpusCall(call.name, parse_object(call.arguments)) for call in reply.calls)
        return CorpusTurn("assistant", calls=tuple(calls))
    return CorpusTurn("assistant", reply.text)
