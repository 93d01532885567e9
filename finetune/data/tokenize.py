"""Tokenizes a training row once, for every method and every maximum length.

Knows rows and the tokenizer; knows no recipe.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.data.examples import (
    AnyExample,
    TrainingExample,
    cut,
    to_examples,
    to_preference_pair,
    to_text_example,
    to_unpaired_example,
)
from finetune.data.findings import RowError
from finetune.data.training_row import Conversation, Preference, TrainingRow, UnpairedPreference
from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer

PROBE = "Größe 12.5 €, naïve café; def f(x): return [1, 2]\n\t你好 — привет 🙂 <s>[INST]"
SAMPLED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class TokenizedRow:
    """A row with its examples, whole: nothing is cut or left out for its length.

    ``error`` says why the template refuses the row; it has no examples then.
    """

    row: TrainingRow
    examples: tuple[AnyExample, ...] = ()
    error: RowError | None = None


def fit(
    examples: Sequence[AnyExample], max_length: int, *, is_text: bool
) -> tuple[list[AnyExample], list[int]]:
    """Return the examples of at most ``max_length`` tokens, into which plain text is cut, and the
    lengths of those that are longer."""
    if is_text:
        texts = [example for example in examples if isinstance(example, TrainingExample)]
        return [part for text in texts for part in cut(text, max_length)], []
    fitting = [example for example in examples if length_of(example) <= max_length]
    lengths = [length_of(example) for example in examples]
    return fitting, [length for length in lengths if length > max_length]


def length_of(example: AnyExample) -> int:
    """Tokens of an example, or of a pair's prompt with its longer answer."""
    return len(example.token_ids) if isinstance(example, TrainingExample) else example.length


def too_long_error(file: str, line: int, field: str, length: int, max_length: int) -> RowError:
    """The error of an example that has more tokens than ``max_length``."""
    problem = f"has {length:,} tokens; {max_length:,} at most are trained"
    return RowError(file, line, field, problem, "too_long")


def tokenize_row(row: TrainingRow, tokenizer: ChatTokenizer, file: str = "") -> TokenizedRow:
    """Render and tokenize a row: the only place where that happens for training."""
    try:
        if isinstance(row, Preference):
            return TokenizedRow(row, (to_preference_pair(row, tokenizer),))
        if isinstance(row, UnpairedPreference):
            return TokenizedRow(row, (to_unpaired_example(row, tokenizer),))
        if isinstance(row, Conversation):
            return TokenizedRow(row, tuple(to_examples(row, tokenizer)))
        return TokenizedRow(row, (to_text_example(row, tokenizer),))
    except InvalidRequest as error:
        problem = RowError(file, row.line, error.field, error.problem, "template")
        return TokenizedRow(row, error=problem)


def fingerprint(tokenizer: ChatTokenizer) -> str:
    """Identify the rendering and the vocabulary: template hash, control tokens, a sample of the
    tokens' bytes and a text that every pre-tokenizer splits in its own way.

    The template hash alone does not cover the vocabulary of a Hugging Face tokenizer.
    """
    size = tokenizer.vocabulary_size
    digest = hashlib.sha256(tokenizer.template_hash.encode())
    facts = (size, sorted(tokenizer.end_ids), sorted(tokenizer.control_tokens.items()))
    digest.update(json.dumps([*facts, tokenizer.encode_plain(PROBE)]).encode())
    for token_id in range(0, size, max(1, size // SAMPLED_TOKENS)):
        digest.update(tokenizer.token_bytes(token_id) + b"\0")
    return digest.hexdigest()
