"""A model as the judge of two answers, by a rubric that a person wrote.

Each pair is judged in both orders and the two verdicts are averaged, because judges prefer one
position (Zheng et al. 2023, arXiv:2306.05685, section 3.4). A JSON schema constrains the verdict.
"""

import asyncio
import json
from dataclasses import dataclass

from playground.errors import PlaygroundError
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


async def _better(backend: Backend, judge: Judge, question: str, a: str, b: str) -> float:
    """Return 1 for A, 0 for B, and one half for equal or a judge that gives no verdict."""
    messages = (
        Message("system", PROMPT.format(rubric=judge.rubric)),
        Message("user", f"Question:\n{question}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}"),
    )
    request = Request(
        judge.model,
        messages,
        response_format=ResponseFormat(SCHEMA),
        sampling=Sampling(temperature=0.0, max_tokens=MAX_VERDICT_TOKENS),
        priority=Priority.BATCH,
    )
    try:
        verdict = await answer(backend, request)
        return {"A": 1.0, "B": 0.0}.get(json.loads(verdict.text)["better"], 0.5)
    except (PlaygroundError, ValueError, KeyError, TypeError):
        return 0.5
