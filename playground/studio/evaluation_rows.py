"""Training rows as evaluation rows: what `playground.evaluation` asks and scores.

Rows come from data sets, read and tokenized once; nothing is rendered here.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from finetune.data.dataset import Dataset, prepare
from finetune.data.examples import TrainingExample
from finetune.data.split import prompt_key
from finetune.data.tokenize import TokenizedRow, length_of
from finetune.data.training_row import PlainText, Preference, UnpairedPreference
from finetune.recipe import Recipe
from finetune.training.adapter_card import read_card, read_trained_prompts
from playground.errors import InvalidSettings
from playground.evaluation.rows import EvaluationRow, EvaluationSet
from playground.models.loaded import LoadedModel

REGRESSION_FILE = "regression.jsonl"
"""General rows beside a base model: what an adapter may have forgotten."""
HELD_OUT, TRAINING, GENERAL = "Held-out rows", "Training rows", "General rows"


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
        sets.append(_file_set(GENERAL, general, loaded, home, max_length))
    return sets


def run_evaluation_sets(
    dataset: Dataset, recipe: Recipe, loaded: LoadedModel, home: Path, limit: int
) -> list[EvaluationSet]:
    """Return what a finished run is evaluated on, at most ``limit`` rows of each kind: the rows it
    held out, or those it was trained on where it held out none, and the general rows of its base.

    A row of an evaluation file that was also trained on is not held out.

    Raises `InvalidSettings` if none of the rows has an answer.
    """
    data = dataset.select(recipe)
    summaries, trained = dataset.summaries(), frozenset(data.trained_prompts)
    has_answer = [row.label is not False for row in summaries]
    given = [n for n in data.eval_rows if has_answer[n]]
    unseen = [n for n in given if prompt_key(summaries[n].prompt) not in trained]
    given = given or [n for n in data.train_rows if has_answer[n]]
    sets = [_own_set(dataset, unseen, given, recipe.max_length, "this run", limit)]
    general = loaded.folder / REGRESSION_FILE
    if general.is_file():
        sets.append(_file_set(GENERAL, general, loaded, home, recipe.max_length, limit))
    return sets


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
        return EvaluationSet(TRAINING, _not_empty(rows, where), seen_in_training=True)
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
