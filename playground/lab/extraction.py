"""Extraction: JSON mode over texts, one or many, each answered with a value of the same schema.

A request carries the schema twice: as the response format, and in the system prompt, where the
model can read what the fields are for. Knows no file and no page.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from playground.errors import PlaygroundError
from playground.protocol import (
    Answer,
    Backend,
    Guarantee,
    Message,
    Priority,
    Request,
    ResponseFormat,
    Sampling,
    answer,
)
from playground.protocol.json_types import Json, parse_json

INSTRUCTION = "Extract the data as JSON with this schema: {schema}"
MAX_CONCURRENT = 32


@dataclass(frozen=True, slots=True)
class Extracted:
    """The result for the text at ``index``: a value with its guarantee, or a problem."""

    index: int
    text: str
    value: Json = None
    guarantee: Guarantee | None = None
    problem: str = ""


def json_request(
    model: str,
    text: str,
    schema: Mapping[str, object],
    sampling: Sampling,
    instruction: str = INSTRUCTION,
) -> Request:
    """Ask for a value of ``schema`` drawn from ``text``. ``{schema}`` in the instruction stands
    for the schema.
    """
    prompt = instruction.replace("{schema}", json.dumps(schema, ensure_ascii=False))
    system = (Message("system", prompt),) if prompt.strip() else ()
    return Request(
        model,
        (*system, Message("user", text)),
        response_format=ResponseFormat(schema),
        sampling=sampling,
    )


async def extract_many(
    backend: Backend, like: Request, texts: Sequence[str]
) -> AsyncGenerator[Extracted, None]:
    """Ask ``like`` of each text, which replaces its last message; yield results as they come.

    Some dozens run at once, with lower priority than people's requests. One that fails is reported
    and the rest go on.
    """
    waiting: Iterator[tuple[int, str]] = iter(enumerate(texts))
    running: set[asyncio.Task[Extracted]] = set()
    try:
        while True:
            for index, text in waiting:
                running.add(asyncio.create_task(_extract(backend, like, index, text)))
                if len(running) >= MAX_CONCURRENT:
                    break
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task.result().index):
                yield task.result()
    finally:
        for task in running:
            task.cancel()


async def _extract(backend: Backend, like: Request, index: int, text: str) -> Extracted:
    try:
        messages = (*like.messages[:-1], Message("user", text))
        request = replace(like, messages=messages, priority=Priority.BATCH, id=f"{like.id}-{index}")
        return extracted(await answer(backend, request), index, text)
    except PlaygroundError as error:
        return Extracted(index, text, problem=error.message)


def extracted(result: Answer, index: int = 0, text: str = "") -> Extracted:
    """Read a finished answer as a value; one that is not JSON is a problem."""
    if result.finish_reason == "length":
        return Extracted(index, text, problem="stopped at max tokens before the value was complete")
    if result.finish_reason == "cancelled":
        return Extracted(index, text, problem="cancelled")
    try:
        value = parse_json(result.text)
    except ValueError as error:
        return Extracted(index, text, problem=f"not JSON: {error}")
    problem = "breaks the schema" if result.guarantee == "none" else ""
    return Extracted(index, text, value, result.guarantee, problem)
