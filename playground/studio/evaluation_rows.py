"""Training rows as evaluation rows: what `playground.evaluation` asks and scores.

Rows come from data sets, read and tokenized once; nothing is rendered here.
"""

from collections.abc import Iterable
from pathlib import Path

from finetune.data.dataset import Dataset, prepare
from finetune.data.examples import PreferencePair, TrainingExample
from finetune.data.tokenize import TokenizedRow, length_of
from finetune.data.training_row import PlainText, Preference
from finetune.recipe import Recipe
from playground.errors import InvalidSettings
from playground.evaluation.rows import EvaluationRow, EvaluationSet
from playground.models.download import locate
from playground.models.loaded import LoadedModel

REGRESSION_FILE = "regression.jsonl"
"""General rows beside a base model: what an adapter may have forgotten."""
HELD_OUT, GENERAL = "Held-out rows", "General rows"


def evaluation_sets(
    loaded: LoadedModel,
    home: Path,
    file: Path,
    regression: Path | None = None,
    max_length: int = 2048,
) -> list[EvaluationSet]:
    """Return a file's rows, and the general rows of ``regression`` or those beside the base.

    Raises `InvalidSettings` for a file without a row that has an answer.
    """
    sets = [_file_set(HELD_OUT, file, loaded, home, max_length)]
    general = regression or locate(loaded.spec) / REGRESSION_FILE
    if general.is_file():
        sets.append(_file_set(GENERAL, general, loaded, home, max_length))
    return sets


def run_evaluation_sets(
    dataset: Dataset, recipe: Recipe, loaded: LoadedModel, home: Path, limit: int
) -> list[EvaluationSet]:
    """Return what a finished run is evaluated on, at most ``limit`` rows of each kind: the rows it
    held out, or those it was trained on where it held out none, and the general rows of its base.

    Raises `InvalidSettings` if none of the rows has an answer.
    """
    data = dataset.select(recipe)
    seen = not data.eval_rows
    places = (data.train_rows if seen else data.eval_rows)[:limit]
    rows = to_evaluation_rows(dataset.rows(places), recipe.max_length)
    name = "Training rows" if seen else HELD_OUT
    sets = [EvaluationSet(name, _not_empty(rows, "this run"), seen_in_training=seen)]
    general = locate(loaded.spec) / REGRESSION_FILE
    if general.is_file():
        sets.append(_file_set(GENERAL, general, loaded, home, recipe.max_length, limit))
    return sets


def to_evaluation_rows(rows: Iterable[TokenizedRow], max_length: int) -> list[EvaluationRow]:
    """Return the rows that have an answer and fit; the others are not evaluated."""
    made = (_to_evaluation_row(row, max_length) for row in rows)
    return [row for row in made if row is not None]


def _file_set(
    name: str,
    file: Path,
    loaded: LoadedModel,
    home: Path,
    max_length: int,
    limit: int | None = None,
) -> EvaluationSet:
    dataset = prepare([file], loaded.tokenizer, home)
    places = range(len(dataset.summaries()))[:limit]
    rows = to_evaluation_rows(dataset.rows(places), max_length)
    return EvaluationSet(name, _not_empty(rows, str(file)))


def _not_empty(rows: list[EvaluationRow], where: str) -> list[EvaluationRow]:
    if not rows:
        raise InvalidSettings(f"{where} has no row with an answer; `finetune check` says why")
    return rows


def _to_evaluation_row(tokenized: TokenizedRow, max_length: int) -> EvaluationRow | None:
    """Return the last trained answer with what is before it; of a preference, the chosen one."""
    row = tokenized.row
    fits = all(length_of(example) <= max_length for example in tokenized.examples)
    if isinstance(row, PlainText) or tokenized.error or not tokenized.examples or not fits:
        return None
    messages = row.messages
    if isinstance(row, Preference):
        before, answer = messages, row.chosen
    else:
        last = row.answers[-1]
        before, answer = messages[:last], messages[last]
    example = _last_example(tokenized)
    return EvaluationRow(
        row.line, tuple(before), tuple(row.tools), answer, example.token_ids, example.labels
    )


def _last_example(tokenized: TokenizedRow) -> TrainingExample:
    example = tokenized.examples[-1]
    return example.to_examples()[0] if isinstance(example, PreferencePair) else example
