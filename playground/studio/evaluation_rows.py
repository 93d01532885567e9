"""Training rows as evaluation rows: what `playground.evaluation` asks and scores.

The only place that knows both forms.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.data.examples import to_examples
from finetune.data.rows import Conversation, Preference, Row, read_rows
from playground.errors import InvalidSettings
from playground.evaluation.rows import EvaluationRow, EvaluationSet
from playground.models.download import locate
from playground.models.loaded import LoadedModel
from playground.models.tokenizer import ChatTokenizer

REGRESSION_FILE = "regression.jsonl"
"""General rows beside a base model: what an adapter may have forgotten."""
HELD_OUT, GENERAL = "Held-out rows", "General rows"


def evaluation_sets(
    loaded: LoadedModel, file: Path, regression: Path | None = None, max_length: int = 2048
) -> list[EvaluationSet]:
    """Return a file's rows, and the general rows of ``regression`` or those beside the base.

    Raises `InvalidSettings` for a file without a row that has an answer.
    """
    sets = [evaluation_set(HELD_OUT, file, loaded.tokenizer, max_length)]
    general = regression or locate(loaded.spec) / REGRESSION_FILE
    if general.is_file():
        sets.append(evaluation_set(GENERAL, general, loaded.tokenizer, max_length))
    return sets


def evaluation_set(
    name: str, file: Path, tokenizer: ChatTokenizer, max_length: int, limit: int | None = None
) -> EvaluationSet:
    """Return the conversations among the first ``limit`` of a file.

    Raises `InvalidSettings` if none of them has an answer and fits.
    """
    conversations = read_rows(file).conversations[:limit]
    rows = to_evaluation_rows(conversations, tokenizer, max_length)
    return EvaluationSet(name, _not_empty(rows, str(file)))


def to_evaluation_rows(
    rows: Sequence[Row], tokenizer: ChatTokenizer, max_length: int
) -> list[EvaluationRow]:
    """Return the rows that have an answer and fit; the others are not evaluated."""
    made = []
    for row in rows:
        conversation = _as_conversation(row)
        if conversation is not None:
            evaluation_row = _to_evaluation_row(conversation, tokenizer, max_length)
            if evaluation_row is not None:
                made.append(evaluation_row)
    return made


def run_evaluation_sets(
    held_out: Sequence[Row],
    trained: Sequence[Row],
    loaded: LoadedModel,
    max_length: int,
    limit: int,
) -> list[EvaluationSet]:
    """Return what a finished run is evaluated on: its held-out rows, or for want of them those it
    was trained on, and the general rows beside the base. ``limit`` rows of each at most."""
    conversations = [row for row in map(_as_conversation, held_out) if row]
    seen = not conversations
    if seen:
        conversations = [row for row in map(_as_conversation, trained) if row]
    rows = to_evaluation_rows(conversations[:limit], loaded.tokenizer, max_length)
    name = "Training rows" if seen else HELD_OUT
    sets = [EvaluationSet(name, _not_empty(rows, "these rows"), seen_in_training=seen)]
    general = locate(loaded.spec) / REGRESSION_FILE
    if general.is_file():
        sets.append(evaluation_set(GENERAL, general, loaded.tokenizer, max_length, limit))
    return sets


def _not_empty(rows: Sequence[EvaluationRow], where: str) -> Sequence[EvaluationRow]:
    if not rows:
        raise InvalidSettings(f"{where} has no row with an answer; `finetune check` says why")
    return rows


def _as_conversation(row: Row) -> Conversation | None:
    """A conversation with an answer; of a preference, the one that ends in the chosen answer."""
    if isinstance(row, Preference):
        return Conversation((*row.messages, row.chosen), row.tools, row.line)
    return row if isinstance(row, Conversation) else None


def _to_evaluation_row(
    conversation: Conversation, tokenizer: ChatTokenizer, max_length: int
) -> EvaluationRow | None:
    examples, errors = to_examples(conversation, tokenizer, max_length)
    if errors or not examples:
        return None
    messages = conversation.messages
    last = max(index for index, message in enumerate(messages) if message.role == "assistant")
    if last < len(messages) - 1:
        until_answer = replace(conversation, messages=messages[: last + 1])
        examples, _ = to_examples(until_answer, tokenizer, max_length)
    example = examples[-1]
    return EvaluationRow(
        conversation.line,
        tuple(messages[:last]),
        tuple(conversation.tools),
        messages[last],
        example.token_ids,
        example.labels,
    )
