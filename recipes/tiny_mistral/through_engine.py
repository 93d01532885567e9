"""Answers to the embedded model's evaluation through the engine, with the grammar of each mode.

What a person gets: the tools' grammar where there are tools, the schema's where there is a schema.
Stands above engine and modes, as the command does.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from playground.backends.chat import Answer, answer, structured
from playground.protocol import Backend, Request, Sampling, Tool
from recipes.tiny_mistral.corpus import Row, Turn
from recipes.tiny_mistral.corpus.rows import Call
from recipes.tiny_mistral.rendering import Renderer

LONGEST_ANSWER = 140
AT_ONCE = 32


class EngineAnswers:
    """A function from rows to answers, over any backend; its first model unless one is named."""

    def __init__(self, backend: Backend, renderer: Renderer, model: str | None = None) -> None:
        self._backend = backend
        self._renderer = renderer
        self._model = model or backend.models()[0].name

    def __call__(self, rows: Sequence[Row]) -> list[Turn]:
        """One answer a row, in the rows' order."""

        async def ask_all() -> list[Answer]:
            places = asyncio.Semaphore(AT_ONCE)

            async def ask(row: Row) -> Answer:
                async with places:
                    return await answer(self._backend, self._request(row))

            return list(await asyncio.gather(*map(ask, rows)))

        return [_turn(each) for each in asyncio.run(ask_all())]

    def _request(self, row: Row) -> Request:
        functions = [tool["function"] for tool in row.tools]
        request = Request(
            self._model,
            prompt=tuple(self._renderer.prompt(row)),
            tools=tuple(Tool(f["name"], f["description"], f["parameters"]) for f in functions),
            sampling=Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER),
        )
        return structured(request, schema=_schema(row))


def _schema(row: Row) -> dict[str, Any] | None:
    """The schema that an extraction row's system prompt holds, if it does."""
    if row.family != "extraction" or row.turns[0].role != "system":
        return None
    text = row.turns[0].text
    schema: dict[str, Any] = json.loads(text[text.index("{") :])
    return schema


def _turn(got: Answer) -> Turn:
    if got.calls:
        calls = tuple(Call(call.name, json.loads(call.arguments)) for call in got.calls)
        return Turn("assistant", calls=calls)
    return Turn("assistant", got.text)
