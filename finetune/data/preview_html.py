"""A row's preview as HTML."""

from collections.abc import Sequence
from html import escape

from finetune.data.examples import TrainingExample
from finetune.data.preview import Span, spans
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


def html_fragment(examples: Sequence[TrainingExample], tokenizer: ChatTokenizer) -> str:
    """The examples' markup without head and style."""
    parts = []
    for number, example in enumerate(examples, start=1):
        parts.append(
            f"<p>Example {number}: {example.num_trained_tokens} of "
            f"{len(example.token_ids)} tokens trained</p>"
            f'<div class="example">{"".join(map(_markup, spans(example, tokenizer)))}</div>'
        )
    return "".join(parts)


def html_page(line: int, examples: Sequence[TrainingExample], tokenizer: ChatTokenizer) -> str:
    """A whole page, self-contained."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Row {line}</title>'
        f"<style>{STYLE}</style><h1>Row {line}</h1>"
        '<p><span class="trained">trained</span> · <span class="masked">masked</span></p>'
        f"{html_fragment(examples, tokenizer)}</html>\n"
    )


def _markup(span: Span) -> str:
    kind = "trained" if span.is_trained else "masked"
    control = " control" if span.is_control else ""
    return f'<span class="{kind}{control}">{escape(span.text)}</span>'
