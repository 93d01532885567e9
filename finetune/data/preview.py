"""Previews a row's tokens: those that are trained on and those that are masked. As data.

Knows neither the terminal's colours nor HTML.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from finetune.data.examples import MASKED, AnyExample, TrainingExample
from finetune.data.findings import RowError
from finetune.data.formats import NO_COLUMNS
from finetune.data.rows import read_row
from finetune.data.tokenize import fit, tokenize_row, too_long_error
from finetune.data.training_row import Conversation, PlainText
from playground.errors import InvalidSettings
from playground.models.tokenizer import ChatTokenizer


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring tokens, all trained or all masked; a control token is a span of its own."""

    text: str
    is_trained: bool
    is_control: bool
    num_tokens: int


@dataclass(frozen=True, slots=True)
class ExamplePreview:
    """A training example as data: its tokens in spans, and how many of them are trained."""

    spans: tuple[Span, ...]
    num_tokens: int
    num_trained_tokens: int


def preview_of(example: TrainingExample, tokenizer: ChatTokenizer) -> ExamplePreview:
    """Return the preview of an example."""
    return ExamplePreview(
        tuple(spans(example, tokenizer)), len(example.token_ids), example.num_trained_tokens
    )


def preview_row(
    file: Path,
    line: int | None,
    tokenizer: ChatTokenizer,
    max_length: int,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> list[TrainingExample]:
    """Read and tokenize the row of one line, or the first one; a preference gives both its answers.

    Reads no further than that line. Raises `InvalidSettings` if it has no row to train on.
    """
    row = read_row(file, line, columns)
    if row is None:
        place = f"line {line} of {file.name}" if line else file.name
        raise InvalidSettings(f"{place} holds no row that can be trained")
    if isinstance(row, RowError):
        raise InvalidSettings(str(row))
    tokenized = tokenize_row(row, tokenizer, file.name)
    if tokenized.error:
        raise InvalidSettings(str(tokenized.error))
    examples, too_long = fit(tokenized.examples, max_length, is_text=isinstance(row, PlainText))
    if too_long:
        field = "messages" if isinstance(row, Conversation) else "prompt"
        error = too_long_error(file.name, row.line, field, too_long[0], max_length)
        raise InvalidSettings(str(error))
    return [part for example in examples for part in _parts(example)]


def _parts(example: AnyExample) -> tuple[TrainingExample, ...]:
    return (example,) if isinstance(example, TrainingExample) else example.to_examples()


def spans(example: TrainingExample, tokenizer: ChatTokenizer) -> list[Span]:
    """Return the example in spans; text is decoded over whole spans, so no character is cut."""
    names = tokenizer.control_tokens
    result: list[Span] = []
    tokens = zip(example.token_ids, example.labels, strict=True)
    keyed = groupby(tokens, key=lambda pair: (names.get(pair[0]), pair[1] != MASKED))
    for (name, is_trained), group in keyed:
        ids = [token for token, _ in group]
        if name is not None:
            result += [Span(name, is_trained, True, 1) for _ in ids]
            continue
        text = b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", "replace")
        result.append(Span(text, is_trained, False, len(ids)))
    return result
