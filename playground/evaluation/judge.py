"""A model as the judge of answers, by a rubric that a person wrote: of two, or of one by itself.

Each pair is judged in both orders and the two verdicts are averaged, because judges prefer one
position (Zheng et al. 2023, arXiv:2306.05685, section 3.4). A JSON schema constrains the verdict.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from playground.errors import PlaygroundError, RequestFailed
from playground.protocol import (
    Backend,
    Message,
    Priority,
    Request,
    ResponseFormat,
    Sampling,
    answer,
)

EQUAL = "equal"
SCHEMA = {
    "type": "object",
    "properties": {"better": {"enum": ["A", "B", EQUAL]}},
    "required": ["better"],
    "additionalProperties": False,
}
PROMPT = (
    "You compare two answers to the same question by this rubric:\n{rubric}\n\n"
    'Say which answer is better, as JSON: {{"better": "A"}}, {{"better": "B"}} or '
    '{{"better": "equal"}}.'
)
RATING_SCHEMA = {
    "type": "object",
    "properties": {"score": {"enum": list(range(11))}},
    "required": ["score"],
    "additionalProperties": False,
}
RATING_PROMPT = (
    "You grade an answer by this rubric:\n{rubric}\n\n"
    'Say how well the answer meets it, from 0 (not at all) to 10 (fully), as JSON: {{"score": 7}}.'
)
MAX_VERDICT_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Judge:
    """The served model that judges, by its name, and the rubric that it is given."""

    model: str
    rubric: str


async def preference(backend: Backend, judge: Judge, question: str, new: str, other: str) -> float:
    """Return 1 if the new answer wins in both orders, 0 if the other does, else what is between."""
    new_shown_first, other_shown_first = await asyncio.gather(
        _better(backend, judge, question, new, other),
        _better(backend, judge, question, other, new),
    )
    return (new_shown_first + 1.0 - other_shown_first) / 2


async def rating(backend: Backend, judge: Judge, question: str, text: str) -> float:
    """Return how well one answer meets the rubric, from 0 to 1.

    Raises `RequestFailed` for a judge that gives no score, and what the backend raises.
    """
    prompt = RATING_PROMPT.format(rubric=judge.rubric)
    body = f"Question:\n{question}\n\nAnswer:\n{text}"
    verdict = await _ask(backend, judge, RATING_SCHEMA, prompt, body)
    try:
        return min(max(float(json.loads(verdict)["score"]) / 10, 0.0), 1.0)
    except (ValueError, KeyError, TypeError) as error:
        raise RequestFailed(f"the judge {judge.model} gave no score: {verdict[:80]!r}") from error


async def _better(backend: Backend, judge: Judge, question: str, a: str, b: str) -> float:
    """Return 1 for A, 0 for B, and one half for equal or a judge that gives no verdict."""
    body = f"Question:\n{question}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}"
    try:
        prompt = PROMPT.format(rubric=judge.rubric)
        verdict = await _ask(backend, judge, SCHEMA, prompt, body)
        return {"A": 1.0, "B": 0.0}.get(json.loads(verdict)["better"], 0.5)
    except (PlaygroundError, ValueError, KeyError, TypeError):
        return 0.5


async def _ask(
    backend: Backend, judge: Judge, schema: Mapping[str, object], prompt: str, body: str
) -> str:
    request = Request(
        judge.model,
        (Message("system", prompt), Message("user", body)),
        response_format=ResponseFormat(schema),
        sampling=Sampling(temperature=0.0, max_tokens=MAX_VERDICT_TOKENS),
        priority=Priority.BATCH,
    )
    return (await answer(backend, request)).text
