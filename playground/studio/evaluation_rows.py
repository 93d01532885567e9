"""Training rows as evaluation rows: what `playground.evaluation` asks and scores.

Rows come from data sets, read and tokenized once; nothing is rendered here.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from finetune.data.dataset import Dataset, PrepareHooks, prepare
from finetune.data.examples import TrainingExample
from finetune.data.split import prompt_key
from finetune.data.tokenize import TokenizedRow, length_of, tokenize_row
from finetune.data.training_row import (
    Conversation,
    PlainText,
    Preference,
    TrainingRow,
    UnpairedPreference,
)
from finetune.recipe import Recipe
from finetune.training.adapter_card import read_card, read_trained_prompts
from playground.errors import InvalidSettings
from playground.evaluation.rows import EvaluationRow, EvaluationSet
from playground.models.loaded import LoadedModel

REGRESSION_FILE = "regression.jsonl"
"""General rows beside a base model: what an adapter may have forgotten."""
HELD_OUT, TRAINING, GENERAL = "Held-out rows", "Training rows", "General rows"
TRAINED, NO_SYSTEM_PROMPT = "Some training rows", "Some training rows without their system prompt"
SAMPLE_ROWS = 32
"""Rows of those that only explain a card."""


def evaluation_sets(
    loaded: LoadedModel,
    home: Path,
    file: Path,
    regression: Path | None = None,
    max_length: int = 2048,
    adapter: Path | None = None,
) -> list[EvaluationSet]:
    """Return a file's rows, and the general rows of ``regression`` or those beside the base.

    Rows that ``adapter`` was trained on are left out, unless it was trained on all of them. Raises
    `InvalidSettings` for a file without a row that has an answer.
    """
    dataset = prepare([file], loaded.tokenizer, home)
    summaries = dataset.summaries()
    trained = _trained_prompts(adapter, dataset) if adapter else frozenset()
    unseen = [n for n, row in enumerate(summaries) if prompt_key(row.prompt) not in trained]
    sets = [_own_set(dataset, unseen, range(len(summaries)), max_length, str(file))]
    general = regression or loaded.folder / REGRESSION_FILE
    if general.is_file():
        rows = prepare([general], loaded.tokenizer, home)
        sets.append(_file_set(GENERAL, general, rows, max_length))
    if sets[0].kind == "trained":
        sets += _without_system_prompt(
            dataset.rows(_sample(range(len(summaries)))), loaded, max_length
        )
    return sets


def run_evaluation_sets(
    dataset: Dataset,
    recipe: Recipe,
    loaded: LoadedModel,
    limit: int,
    stop_event: threading.Event | None = None,
) -> list[EvaluationSet]:
    """Return what a finished run is evaluated on, at most ``limit`` rows of each kind: the rows it
    held out, or those it was trained on where it held out none, and the general rows of its base;
    of what it was trained on a sample, as it is and without the system prompt that most have.

    A row of an evaluation file that was also trained on is not held out.

    Raises `InvalidSettings` if none of the rows has an answer, `WorkStopped` once the event is set.
    """
    summaries = dataset.summaries()
    used = dataset.used_rows(summaries, recipe)
    trained = {prompt_key(summaries[n].prompt) for n in used.train}
    has_answer = [row.label is not False for row in summaries]
    given = [n for n in used.eval if has_answer[n]]
    unseen = [n for n in given if prompt_key(summaries[n].prompt) not in trained]
    trained_on = [n for n in used.train if has_answer[n]]
    sets = [_own_set(dataset, unseen, given or trained_on, recipe.max_length, "this run", limit)]
    general = loaded.folder / REGRESSION_FILE
    if general.is_file():
        rows = prepare(
            [general], loaded.tokenizer, dataset.home, hooks=PrepareHooks(None, stop_event)
        )
        sets.append(_file_set(GENERAL, general, rows, recipe.max_length, limit))
    sample = dataset.rows(_sample(trained_on, limit))
    known = to_evaluation_rows(sample, recipe.max_length)
    if known and sets[0].kind != "trained":
        sets.append(EvaluationSet(TRAINED, known, "trained"))
    return [*sets, *_without_system_prompt(sample, loaded, recipe.max_length)]


def _own_set(
    dataset: Dataset,
    unseen: Sequence[int],
    given: Sequence[int],
    max_length: int,
    where: str,
    limit: int | None = None,
) -> EvaluationSet:
    """Return the rows that were not trained on, or all that are given if there are none."""
    rows = to_evaluation_rows(dataset.rows(unseen[:limit]), max_length)
    if not rows:
        rows = to_evaluation_rows(dataset.rows(given[:limit]), max_length)
        return EvaluationSet(TRAINING, _not_empty(rows, where), "trained")
    num_trained = len(given) - len(unseen)
    return EvaluationSet(HELD_OUT, rows, num_trained=num_trained)


def _trained_prompts(adapter: Path, dataset: Dataset) -> frozenset[str]:
    """Return what the adapter says that it was trained on; all rows, if its card names this very
    data set."""
    card = read_card(adapter) or {}
    data = card.get("data")
    if isinstance(data, dict) and data.get("sha256") == dataset.sha256:
        return frozenset(prompt_key(row.prompt) for row in dataset.summaries())
    return read_trained_prompts(adapter)


def _sample(places: Sequence[int], limit: int = SAMPLE_ROWS) -> list[int]:
    """Return a few places, from the first to the last."""
    step = -(-len(places) // min(limit, SAMPLE_ROWS)) or 1
    return [*places[::step]]


def _without_system_prompt(
    rows: Sequence[TokenizedRow], loaded: LoadedModel, max_length: int
) -> list[EvaluationSet]:
    """Return the rows that have the system prompt which most have, without it; no set if most have
    none of their own kind, as where each row's holds a document."""
    prompts = Counter(map(_system_prompt, rows))
    prompt, number = prompts.most_common(1)[0] if prompts else (None, 0)
    if not prompt or number * 2 <= len(rows):
        return []
    same = [row for row in rows if _system_prompt(row) == prompt]
    bare = [tokenize_row(_without_first(row.row), loaded.tokenizer, "") for row in same]
    made = to_evaluation_rows(bare, max_length)
    return [EvaluationSet(NO_SYSTEM_PROMPT, made, "no system prompt")] if made else []


def _system_prompt(tokenized: TokenizedRow) -> str | None:
    row = tokenized.row
    if isinstance(row, PlainText) or not row.messages or row.messages[0].role != "system":
        return None
    return row.messages[0].content


def _without_first(row: TrainingRow) -> TrainingRow:
    """Return the row without its first message."""
    if isinstance(row, PlainText):
        return row
    if isinstance(row, Conversation):
        masked = tuple(place - 1 for place in row.masked)
        return replace(row, messages=row.messages[1:], masked=masked)
    return replace(row, messages=row.messages[1:])


def to_evaluation_rows(rows: Iterable[TokenizedRow], max_length: int) -> list[EvaluationRow]:
    """Return the rows that have an answer and fit; the others are not evaluated."""
    made = (_to_evaluation_row(row, max_length) for row in rows)
    return [row for row in made if row is not None]


def _file_set(
    name: str, file: Path, dataset: Dataset, max_length: int, limit: int | None = None
) -> EvaluationSet:
    places = range(len(dataset.summaries()))[:limit]
    rows = to_evaluation_rows(dataset.rows(places), max_length)
    return EvaluationSet(name, _not_empty(rows, str(file)), "general")


def _not_empty(rows: list[EvaluationRow], where: str) -> list[EvaluationRow]:
    if not rows:
        raise InvalidSettings(f"{where} has no row with an answer; `finetune check` says why")
    return rows


def _to_evaluation_row(tokenized: TokenizedRow, max_length: int) -> EvaluationRow | None:
    """Return the last trained answer with what is before it; of a preference, the chosen one, and
    of an unpaired one its answer if that is a good one."""
    row = tokenized.row
    fits = all(length_of(example) <= max_length for example in tokenized.examples)
    if isinstance(row, PlainText) or tokenized.error or not tokenized.examples or not fits:
        return None
    messages = row.messages
    if isinstance(row, Preference):
        before, answer = messages, row.chosen
    elif isinstance(row, UnpairedPreference):
        if not row.label:
            return None
        before, answer = messages, row.completion
    else:
        last = row.answers[-1]
        before, answer = messages[:last], messages[last]
    example = _last_example(tokenized)
    return EvaluationRow(
        row.line, tuple(before), tuple(row.tools), answer, example.token_ids, example.labels
    )


def _last_example(tokenized: TokenizedRow) -> TrainingExample:
    example = tokenized.examples[-1]
    return example if isinstance(example, TrainingExample) else example.to_examples()[0]
