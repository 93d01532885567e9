"""Classification: how probable each of several labels is as the model's answer.

A label's score is the log-probability of its tokens and of the end behind them, each given all
before it: the probability that the whole answer is this label. Scores are normalised over the
labels at the end, which is what a grammar of the labels leaves possible, and not token by token: a
label with many tokens, or one that begins like another, is then neither preferred nor punished.
Knows no HTTP.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from playground.errors import InvalidRequest
from playground.protocol import (
    Backend,
    Delta,
    Request,
    Sampling,
    StreamEvent,
    TokenizerHost,
    TokenLogprob,
)

MAX_LABELS = 128
MAX_CONCURRENT = 16


@dataclass(frozen=True, slots=True)
class LabelScore:
    """``logprob`` is natural, of the label's tokens and the end behind them (``tokens`` together);
    ``probability`` is among all labels."""

    label: str
    logprob: float
    tokens: int
    probability: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The scores of one request in the order of its labels, and the tokens that were computed."""

    scores: tuple[LabelScore, ...]
    prompt_tokens: int

    @property
    def best(self) -> LabelScore:
        """The most probable label."""
        return max(self.scores, key=lambda score: score.logprob)


async def classify(backend: Backend, request: Request, labels: Sequence[str]) -> Classification:
    """Score each label as the answer to the request's messages; what it says of sampling does not
    matter.

    Raises `InvalidRequest` for labels that are missing, empty, repeated or too many, and where the
    backend does not show its tokenizer; and what the backend raises.
    """
    check_labels(labels)
    if not isinstance(backend, TokenizerHost):
        raise InvalidRequest("model", "this backend does not show its tokenizer")
    prompt = await backend.tokenize(request)
    answers = [await backend.tokenize_answer(request, label) for label in labels]
    slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def score(place: int) -> float:
        tokens = (*prompt, *answers[place])
        scored = replace(
            request,
            messages=(),
            tools=(),
            response_format=None,
            prompt=tokens,
            sampling=Sampling(max_tokens=0, prompt_logprobs=0),
            fit_max_tokens=True,
            id=f"{request.id}-{place}",
        )
        async with slots:
            logprobs = await _prompt_logprobs(backend.stream(scored))
        return sum(each.logprob for each in logprobs[-len(answers[place]) :])

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(score(place)) for place in range(len(labels))]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    logprobs = [task.result() for task in tasks]
    scores = tuple(
        LabelScore(label, logprob, len(answer), probability)
        for label, logprob, answer, probability in zip(
            labels, logprobs, answers, normalised(logprobs), strict=True
        )
    )
    computed = sum(len(prompt) + len(answer) for answer in answers)
    return Classification(scores, computed)


def check_labels(labels: Sequence[str]) -> None:
    """Raises `InvalidRequest` naming the label."""
    if not 2 <= len(labels) <= MAX_LABELS:
        raise InvalidRequest("labels", f"{len(labels)} labels; give 2 to {MAX_LABELS}")
    for place, label in enumerate(labels):
        if not label.strip():
            raise InvalidRequest(f"labels[{place}]", "must not be empty")
        if label in labels[:place]:
            raise InvalidRequest(f"labels[{place}]", f"{label!r} is there twice")


def normalised(logprobs: Sequence[float]) -> list[float]:
    """Return probabilities that add up to 1. All alike where every one is minus infinity."""
    highest = max(logprobs)
    if math.isinf(highest):
        return [1 / len(logprobs)] * len(logprobs)
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    return [weight / sum(weights) for weight in weights]


async def _prompt_logprobs(events: AsyncGenerator[StreamEvent, None]) -> list[TokenLogprob]:
    found: list[TokenLogprob] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                found += event.prompt_logprobs
    return found
