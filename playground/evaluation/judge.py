"""A model as the judge of two answers, by a rubric that a person wrote.

Each pair is shown in both orders and the two verdicts are averaged, because judges prefer a place
(Zheng et al. 2023, arXiv:2306.05685, section 3.4). The verdict is held by a grammar.
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
TASK = (
    "You compare two answers to the same question by this rubric:\n{rubric}\n\n"
    'Say which answer is better, as JSON: {{"better": "A"}}, {{"better": "B"}} or '
    '{{"better": "equal"}}.'
)
LONGEST_VERDICT = 32


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judges, a served model's name, and by what."""

    model: str
    rubric: str


async def preference(backend: Backend, judge: Judge, question: str, new: str, other: str) -> float:
    """1 if the new answer is better in both orders, 0 if the other is, and what lies between."""
    first, second = await asyncio.gather(
        _better(backend, judge, question, new, other),
        _better(backend, judge, question, other, new),
    )
    return (first + 1.0 - second) / 2


async def _better(backend: Backend, judge: Judge, question: str, a: str, b: str) -> float:
    """1 for A, 0 for B; one half for equal, and for a judge that gives no verdict."""
    messages = (
        Message("system", TASK.format(rubric=judge.rubric)),
        Message("user", f"Question:\n{question}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}"),
    )
    sampling = Sampling(temperature=0.0, max_tokens=LONGEST_VERDICT)
    request = Request(
        judge.model,
        messages,
        response_format=ResponseFormat(SCHEMA),
        sampling=sampling,
        priority=Priority.BATCH,
    )
    try:
        got = await answer(backend, request)
        return {"A": 1.0, "B": 0.0}.get(json.loads(got.text)["better"], 0.5)
    except (PlaygroundError, ValueError, KeyError, TypeError):
        return 0.5
