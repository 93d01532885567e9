"""The quiet line under the conversation: what the last answer cost, and how full the context is.

Pure functions from numbers to text and HTML.
"""

from html import escape

from playground.protocol import FinishReason, Timings, Usage

NEARLY_FULL = 0.75
FULL = 0.95


def answer_note(usage: Usage, timings: Timings, reason: FinishReason) -> str:
    """Tokens, speed, time to first token and, when it did not stop by itself, why it ended."""
    count = usage.completion_tokens
    parts = [f"{count:,} token{'' if count == 1 else 's'}"]
    speed = timings.tokens_per_second(count)
    if speed is not None:
        parts.append(f"{speed:,.1f} tokens/s" if speed < 100 else f"{speed:,.0f} tokens/s")
    if count:
        parts.append(f"first token after {_duration(timings.first_token_s)}")
    endings = {"length": "stopped at max tokens", "cancelled": "stopped by you"}
    if reason in endings:
        parts.append(endings[reason])
    return " · ".join(parts)


def status_line(note: str, used_tokens: int | None, context_length: int) -> str:
    """The note at the left, the context meter at the right; no meter where the count is unknown."""
    meter = "" if used_tokens is None else _meter(used_tokens, context_length)
    return f'<span class="note" aria-live="polite">{escape(note)}</span>{meter}'


def verdict(text: str, *, good: bool) -> str:
    """Whether something that was written holds, and why not."""
    return f'<p class="{"good" if good else "bad"}" role="status">{escape(text)}</p>'


def _meter(used: int, length: int) -> str:
    share = min(1.0, used / length)
    level = "full" if share >= FULL else "high" if share >= NEARLY_FULL else "calm"
    warning = {"full": " · almost no room left", "high": " · filling up", "calm": ""}[level]
    return (
        f'<span class="meter {level}" role="meter" aria-label="Context used" aria-valuemin="0"'
        f' aria-valuemax="{length}" aria-valuenow="{used}">'
        f'<span class="bar"><span style="width:{share:.1%}"></span></span>'
        f"{used:,} of {length:,} tokens{warning}</span>"
    )


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
