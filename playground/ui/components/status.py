"""Notes about answers: what one cost, how full the context is, whether something is valid.

Pure functions from numbers to text and HTML.
"""

import math
from typing import Literal

from playground.lab.tokens import what_is_cut
from playground.protocol import Answer, Provenance
from playground.ui.components.markup import render

NEARLY_FULL = 0.75
FULL = 0.95

Level = Literal["calm", "high", "full"]


def answer_note(answer: Answer) -> str:
    """Return tokens, speed, time to the first token, cost and, if it was cut short, by what."""
    count, timings = answer.usage.completion_tokens, answer.timings
    parts = [f"{count:,} token{'' if count == 1 else 's'}"]
    speed = timings.tokens_per_second(count)
    if speed is not None:
        parts.append(f"{speed:,.1f} tokens/s" if speed < 100 else f"{speed:,.0f} tokens/s")
    if count:
        parts.append(f"first token after {_duration(timings.first_token_s)}")
    if answer.cost_usd:
        parts.append(usd(answer.cost_usd))
    endings = {"length": "stopped at max tokens", "cancelled": "stopped by you"}
    if answer.finish_reason in endings:
        parts.append(endings[answer.finish_reason])
    return " · ".join(parts)


def made_by(model: str, source: Provenance) -> str:
    """Return whose an answer is: its model, and the content hash of its adapter if it has one."""
    return f"{model} · {source.adapter_hash[:8]}" if source.adapter else model


def note_line(text: str) -> str:
    """Return what the last answer took, as it stands below the conversation."""
    return render("answer_note.html", note=text)


def meter(used_tokens: int | None, context_length: int) -> str:
    """Return the context meter; nothing where the token count is not known."""
    share = min(1.0, (used_tokens or 0) / context_length)
    return render(
        "meter.html",
        used=used_tokens,
        length=context_length,
        share=share,
        level=_level(share),
        cut="" if used_tokens is None else what_is_cut(used_tokens, context_length),
    )


def verdict(text: str, *, good: bool) -> str:
    """Return a line in green or red about something that was written or done."""
    return render("verdict.html", text=text, good=good)


def note(text: str, *, bad: bool = False) -> str:
    """Return a small line of text."""
    return render("note.html", text=text, bad=bad)


def usd(amount: float) -> str:
    """Return money with two significant digits, cents at least: ``$12.34``, ``$0.000016``."""
    if amount == 0 or amount >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.{1 - math.floor(math.log10(amount))}f}"


def _level(share: float) -> Level:
    return "full" if share >= FULL else "high" if share >= NEARLY_FULL else "calm"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
