"""A row's tokens, those that are learned told apart from those that are masked. As data and HTML.

The terminal's colours are the command's business; knows no page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from finetune.data.examples import MASKED, View
from finetune.data.rows import Row
from playground.models.tokenizer import ChatTokenizer

STYLE = """
body { font: 15px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
.view { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884;
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


def spans(view: View, tokenizer: ChatTokenizer) -> list[Span]:
    """The view in spans; text is decoded over whole spans, so that no character is cut."""
    names = tokenizer.control_tokens
    found: list[Span] = []
    each = zip(view.token_ids, view.labels, strict=True)
    keyed = groupby(each, key=lambda pair: (names.get(pair[0]), pair[1] != MASKED))
    for (name, trained), group in keyed:
        ids = [token for token, _ in group]
        if name is not None:
            found += [Span(name, trained, True, 1) for _ in ids]
            continue
        text = b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", "replace")
        found.append(Span(text, trained, False, len(ids)))
    return found


def html_fragment(views: Sequence[View], tokenizer: ChatTokenizer) -> str:
    """The views' markup without head and style."""
    parts = []
    for number, view in enumerate(views, start=1):
        parts.append(
            f"<p>View {number}: {view.trained} of {len(view.token_ids)} tokens trained</p>"
            f'<div class="view">{"".join(map(_markup, spans(view, tokenizer)))}</div>'
        )
    return "".join(parts)


def html_page(row: Row, views: Sequence[View], tokenizer: ChatTokenizer) -> str:
    """A whole page, self-contained."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Row {row.line}</title>'
        f"<style>{STYLE}</style><h1>Row {row.line}</h1>"
        '<p><span class="trained">trained</span> · <span class="masked">masked</span></p>'
        f"{html_fragment(views, tokenizer)}</html>\n"
    )


def _markup(span: Span) -> str:
    kind = "trained" if span.trained else "masked"
    control = " control" if span.control else ""
    return f'<span class="{kind}{control}">{escape(span.text)}</span>'
