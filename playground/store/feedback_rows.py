"""Training rows made from feedback, in the forms that trainers read.

Knows the tables of answers and feedback; knows no session and no page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from playground.store.tables import Answer, Exchange

JsonMessage = dict[str, object]
"""A message or tool in OpenAI's form."""


class RowPrompt(TypedDict):
    """The conversation before an answer, and the tools offered."""

    messages: list[JsonMessage]
    tools: NotRequired[list[JsonMessage]]


class SftRow(RowPrompt):
    """A training row for SFT: the last message is the answer to learn."""


class PreferenceRow(TypedDict):
    """A training row for DPO, in OpenAI's form."""

    input: RowPrompt
    preferred_output: list[JsonMessage]
    non_preferred_output: list[JsonMessage]


class UnpairedRow(TypedDict):
    """A training row for KTO, in TRL's form; ``label`` is true for a thumb up."""

    prompt: list[JsonMessage]
    completion: list[JsonMessage]
    label: bool
    tools: NotRequired[list[JsonMessage]]


FeedbackRows = Literal["sft", "dpo", "kto"]
"""The training methods that feedback becomes rows for."""


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer as a message, with the conversation before it and the tools offered."""

    prompt: RowPrompt
    message: JsonMessage


def as_given(answer: Answer, text: str | None = None) -> RatedAnswer:
    """Return an answer as it was given, or with the ``text`` that it should have had."""
    message: JsonMessage = {"role": "assistant", "content": answer.text if text is None else text}
    if answer.calls and text is None:
        message["tool_calls"] = answer.calls
    return RatedAnswer(_prompt(answer), message)


def pairs(exchange: Exchange) -> Iterator[tuple[RatedAnswer, RatedAnswer]]:
    """Return better and worse answers to the same conversation: a vote's winner over each other
    answer, an edit over its original."""
    by_id = {answer.id: answer for answer in exchange.answers}
    for vote in exchange.votes:
        if vote.winner_id:
            winner = by_id[vote.winner_id]
            better = as_given(winner, winner.edits[-1].text if winner.edits else None)
            for answer in exchange.answers:
                worse = as_given(answer)
                if answer is not winner and worse.prompt == better.prompt:
                    yield better, worse
    for answer in exchange.answers:
        for edit in answer.edits:
            yield as_given(answer, edit.text), as_given(answer)


def good_answers(exchange: Exchange) -> Iterator[RatedAnswer]:
    """Return edits, winners of votes, and answers with a thumb up."""
    winners = {vote.winner_id for vote in exchange.votes}
    for answer in exchange.answers:
        if answer.edits:
            yield as_given(answer, answer.edits[-1].text)
        elif answer.id in winners or any(thumb.up for thumb in answer.thumbs):
            yield as_given(answer)


def _prompt(answer: Answer) -> RowPrompt:
    exchange = answer.exchange
    head: list[JsonMessage] = (
        [{"role": "system", "content": answer.system}] if answer.system else []
    )
    messages = exchange.messages if answer.messages is None else answer.messages
    prompt: RowPrompt = {"messages": [*head, *messages]}
    if exchange.tools:
        prompt["tools"] = exchange.tools
    return prompt
