"""A row's tokens, those that are learned told apart from those that are masked. As data and HTML.

The terminal's colours are the command's business; knows no page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from finetune.data.examples import MASKED, TrainingExample
from finetune.data.rows import Row
from playground.models.tokenizer import ChatTokenizer

STYLE = """
body { font: 15px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
.example { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884;
  border-radius: 8px; padding: 12px 16px; }
.trained { background: #16a34a33; border-radius: 3px; }
.masked { opacity: .65; }
.control { font: .8em ui-monospace, monospace; border: 1px solid #8886; border-radius: 4px;
  padding: 0 4px; }
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring tokens of one kind. ``control`` is a control token's name."""

    text: str
    trained: bool
    control: bool
    tokens: int


def spans(example: TrainingExample, tokenizer: ChatTokenizer) -> list[Span]:
    """The example in spans; text is decoded over whole spans, so that no character is cut."""
    names = tokenizer.control_tokens
    found: list[Span] = []
    each = zip(example.token_ids, example.labels, strict=True)
    keyed = groupby(each, key=lambda pair: (names.get(pair[0]), pair[1] != MASKED))
    for (name, trained), group in keyed:
        ids = [token for token, _ in group]
        if name is not None:
            found += [Span(name, trained, True, 1) for _ in ids]
            continue
        text = b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", "replace")
        found.append(Span(text, trained, False, len(ids)))
    return found


@dataclass(frozen=True, slots=True)
class ExamplePreview:
    """A training example as data: its tokens in spans, and how many of them are trained."""

    spans: tuple[Span, ...]
    num_tokens: int
    num_trained_tokens: int


def preview_of(example: TrainingExample, tokenizer: ChatTokenizer) -> ExamplePreview:
    """Return the preview of an example."""
    return ExamplePreview(tuple(spans(example, tokenizer)), len(example.token_ids), example.trained)


def html_fragment(previews: Sequence[ExamplePreview]) -> str:
    """Return the examples' markup without head and style."""
    return "".join(
        f"<p>Example {number}: {preview.num_trained_tokens} of {preview.num_tokens} tokens are "
        f'trained</p><div class="example">{"".join(map(_markup, preview.spans))}</div>'
        for number, preview in enumerate(previews, start=1)
    )


def html_page(row: Row, examples: Sequence[TrainingExample], tokenizer: ChatTokenizer) -> str:
    """A whole page, self-contained."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Row {row.line}</title>'
        f"<style>{STYLE}</style><h1>Row {row.line}</h1>"
        '<p><span class="trained">trained</span> · <span class="masked">masked</span></p>'
        f"{html_fragment([preview_of(example, tokenizer) for example in examples])}</html>\n"
    )


def _markup(span: Span) -> str:
    kind = "trained" if span.trained else "masked"
    control = " control" if span.control else ""
    return f'<span class="{kind}{control}">{escape(span.text)}</span>'
