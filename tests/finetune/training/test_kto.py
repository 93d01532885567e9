"""Unpaired preferences: what is labelled good becomes likelier, what is labelled bad does not."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

from finetune.data.dataset import Dataset as RowsDataset
from finetune.data.dataset import TrainingData, prepare
from finetune.data.examples import UnpairedExample
from finetune.methods.kto import Kto, balance_advice, mismatched
from finetune.recipe import embedded_cpu, mistral_small_24b_qlora, read_recipe
from finetune.report import report
from finetune.training.callbacks import read_log
from finetune.training.plan import plan
from finetune.training.train import train
from playground.errors import InvalidSettings
from playground.evaluation.loss import losses
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec

RECIPE = replace(
    embedded_cpu(),
    method="kto",
    num_train_epochs=6.0,
    micro_batch_size=4,
    learning_rate=1e-3,
    replay_fraction=0.0,
)


@cache
def base() -> LoadedModel:
    return load(ModelSpec("embedded"))


def labelled(path: Path, labels: Sequence[bool]) -> Path:
    rows = [
        {
            "prompt": f"What is {at} plus 1?",
            "completion": f"It is {at + 1}." if label else "I do not know.",
            "label": label,
        }
        for at, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def dataset_of(folder: Path, labels: Sequence[bool]) -> RowsDataset:
    return prepare([labelled(folder / "k.jsonl", labels)], base().tokenizer, folder)


def examples_of(folder: Path, labels: Sequence[bool]) -> list[UnpairedExample]:
    data = dataset_of(folder, labels).select(RECIPE)
    return [each for each in data.train if isinstance(each, UnpairedExample)]


@pytest.mark.training
@pytest.mark.slow
def test_kto_moves_labels_apart(tmp_path: Path) -> None:
    rows = examples_of(tmp_path, [True, False] * 6)
    loaded = base()

    def of_label(model: object, label: bool) -> float:
        examples = [row.to_examples()[0] for row in rows if row.label is label]
        return sum(total for total, _ in losses(model, examples))

    before = [of_label(loaded.model, label) for label in (True, False)]
    done = train(RECIPE, loaded, TrainingData.of(rows), tmp_path / "run", "low")
    assert [of_label(loaded.model, label) for label in (True, False)] == before
    model = PeftModel.from_pretrained(loaded.model, done.folder)
    after = [of_label(model, label) for label in (True, False)]
    assert after[0] < before[0]
    assert after[1] - after[0] > before[1] - before[0]
    margins = [line["rewards/margins"] for line in read_log(tmp_path / "run/metrics.jsonl")
               if "rewards/margins" in line]  # fmt: skip
    assert margins[-1] > margins[0]


@pytest.mark.training
def test_batches_equal_those_of_trl(tmp_path: Path) -> None:
    rows = examples_of(tmp_path, [True, False] * 2)
    table = Dataset.from_dict(Kto().columns(RECIPE, [[row] for row in rows]))
    answers = [list(row.completion) for row in rows]
    assert table["KL_completion_ids"][:] == [answers[-1], *answers[:-1]]
    batch = DataCollatorForUnpairedPreference(pad_token_id=0)(list(table))
    assert batch["label"].tolist() == [True, False, True, False]
    assert torch.equal(
        batch["KL_input_ids"][1][: len(rows[1].prompt)], torch.tensor(rows[1].prompt)
    )


def test_no_answer_is_its_own_mismatch() -> None:
    assert mismatched(5, 2) == [1, 0, 3, 2, 3]
    for size in (2, 3, 4, 24):
        assert all(at != other for at, other in enumerate(mismatched(13, size)))


@pytest.mark.parametrize(("label", "words"), [(True, "only good ones; train"), (False, "only bad")])
def test_kto_needs_both_labels(label: bool, words: str, tmp_path: Path) -> None:
    (problem,) = report(dataset_of(tmp_path, [label] * 4), RECIPE).problems
    assert words in problem
    rows = examples_of(tmp_path, [label] * 4)
    with pytest.raises(InvalidSettings, match="kto: all 4 rows are labelled"):
        train(RECIPE, base(), TrainingData.of(rows), tmp_path / "run", "no")


def test_kto_needs_two_rows_together(tmp_path: Path) -> None:
    recipe = replace(RECIPE, micro_batch_size=1)
    (problem,) = report(dataset_of(tmp_path, [True, False]), recipe).problems
    assert problem.startswith("recipe.micro_batch_size: kto needs 2 at least")


def test_kto_recipe_keeps_rows_a_step() -> None:
    before = mistral_small_24b_qlora()
    recipe = read_recipe("mistral_small_24b_qlora", {"method": "kto"})
    assert recipe.micro_batch_size == 2
    assert recipe.gradient_accumulation_steps * 2 == before.gradient_accumulation_steps
    assert plan(recipe).tokens == 2 * plan(before).tokens


@pytest.mark.parametrize(
    ("method", "labels", "advice"),
    [("sft", True, "kto"), ("dpo", True, "kto"), ("kto", False, "sft")],
)
def test_check_names_the_method_needed(
    method: str, labels: bool, advice: str, tmp_path: Path
) -> None:
    file = labelled(tmp_path / "k.jsonl", [True, False])
    if not labels:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(row | {"label": None}) + "\n" for row in rows))
    dataset = prepare([file], base().tokenizer, tmp_path)
    (problem, *_) = report(dataset, replace(RECIPE, method=method)).problems  # type: ignore[arg-type]
    assert f"2 of 2 rows do not fit {method}" in problem
    assert f"--set method={advice}" in problem


def test_report_counts_labels_and_balances(tmp_path: Path) -> None:
    found = report(dataset_of(tmp_path, [True] * 9 + [False] * 3), RECIPE)
    assert found.labels == (9, 3)
    (advice,) = found.advice
    assert "undesirable_weight=3" in advice
    labels = [True] * 9 + [False] * 3
    assert balance_advice(replace(RECIPE, undesirable_weight=3.0), labels) is None
