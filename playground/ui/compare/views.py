"""Answers and scores of the Compare tab as HTML. Pure functions."""

import json
from collections.abc import Mapping, Sequence

from playground.lab import LaneEvent
from playground.lab.tally import Tally
from playground.protocol import Answer, Sampling
from playground.ui.compare.updates import LanesTurn
from playground.ui.components.markup import render
from playground.ui.components.shown_text import as_markdown, as_typed
from playground.ui.components.status import answer_note


def label_html(side: str, model: str) -> str:
    """Return a side's heading; ``model`` is empty while it is hidden."""
    return render("compare/label.html", side=side, model=model)


def question_html(question: str) -> str:
    """Return the question as it was written."""
    return render("compare/question.html", question=question)


def past_text(turns: Sequence[LanesTurn], lane: int) -> str:
    """Return a lane's earlier turns as Markdown, each question over its answer."""
    return "".join(
        f"> {as_typed(turn.question)}\n\n{as_markdown(turn.answers[lane].text)}\n\n---\n\n"
        for turn in turns
    )


def answer_text(event: LaneEvent | None) -> str:
    """Return an answer's Markdown."""
    return as_markdown(event.text) if event and not event.error else ""


def answer_html(event: LaneEvent | None, *, blind: bool) -> str:
    """Return an answer's error or calls and, unless it is ``blind``, what made it."""
    answer = event.answer if event else None
    return render(
        "compare/answer.html",
        reasoning=answer.reasoning if answer else "",
        error=event.error.message if event and event.error else "",
        calls=[
            json.dumps({"name": call.name, "arguments": json.loads(call.arguments)})
            for call in (answer.calls if answer else ())
        ],
        lines=_about(answer, event.sampling) if event and answer and not blind else (),
    )


def score_html(counted: Tally, counts: Mapping[str, int]) -> str:
    """Return the tally by model and prompt, the strongest first."""
    return render("compare/score.html", tally=counted, counts=counts)


def _about(answer: Answer, sampling: Sampling) -> tuple[str, str]:
    """Return the cost of an answer, and the weights and settings that made it."""
    provenance = answer.provenance
    parts = [f"base {provenance.base_hash[:8]}"]
    if provenance.quantization != "none":
        parts.append(provenance.quantization)
    if provenance.adapter:
        parts.append(f"adapter {provenance.adapter} {provenance.adapter_hash[:8]}")
    parts += [f"temperature {sampling.temperature:g}", f"seed {sampling.seed}"]
    return answer_note(answer), " · ".join(parts)
