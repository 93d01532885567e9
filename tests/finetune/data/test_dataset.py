"""Data sets on disk: prepared once, never stale, and the same for check, plan, training, report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.dataset import DATASETS_FOLDER, prepare
from finetune.data.rows import read_rows
from finetune.data.tokenize import fingerprint
from finetune.recipe import embedded_cpu
from finetune.report import report
from playground.errors import InvalidSettings
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.spec import ModelSpec
from playground.studio.runs import execute, new_run, open_dataset, open_run
from tests.counting_tokenizer import CountingTokenizer

TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    },
}
ROWS: list[dict[str, object]] = [
    {"prompt": "What is red?", "completion": "A colour."},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
     "tools": [TOOL]},
    {"prompt": "What is 1 plus 1?", "chosen": "2", "rejected": "3"},
    {"text": "All the words of a book. " * 30},
]  # fmt: skip


@pytest.fixture
def tokenizer() -> CountingTokenizer:
    return CountingTokenizer(EMBEDDED_FOLDER)


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.jsonl", ROWS)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_dataset_gives_back_rows_and_tokens(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    dataset = prepare([rows_file], tokenizer, tmp_path)
    data = dataset.select(embedded_cpu())
    stored = dataset.rows(data.train_rows)
    assert [tokenized.row for tokenized in stored] == list(read_rows(rows_file).rows)
    assert [example for row in stored for example in row.examples] == list(data.train)
    talk = read_rows(rows_file).conversations[1]
    assert tokenizer.render(talk.messages[:1], talk.tools) == list(
        data.train[1].token_ids[: -data.train[1].num_trained_tokens]  # type: ignore[union-attr]
    )


@pytest.mark.slow
def test_report_equals_what_is_selected(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    dataset = prepare([rows_file], tokenizer, tmp_path)
    for max_length in (16, 64, 512):
        recipe = replace(embedded_cpu(), max_length=max_length)
        counted, data = report(dataset, recipe), dataset.select(recipe)
        assert counted.examples + counted.pairs == len(data.train)
        assert counted.num_trained_tokens == sum(e.num_trained_tokens for e in data.train)
        assert counted.num_errors == len(data.errors)


@pytest.mark.training
def test_row_is_tokenized_once(tmp_path: Path, tokenizer: CountingTokenizer) -> None:
    base = load(ModelSpec("embedded"))
    loaded: LoadedModel = replace(base, tokenizer=tokenizer)
    file = write(tmp_path / "rows.jsonl", ROWS[:2])
    recipe = replace(embedded_cpu(), max_steps=2, replay_fraction=0.0)
    for max_length in (64, 512):  # the page: checked again with every change of a field
        checked = replace(recipe, max_length=max_length, eval_fraction=0.1)
        report(prepare([file], tokenizer, tmp_path), checked)
    run = new_run(tmp_path, "colours", recipe, [file])
    trained = execute(run, loaded)
    assert trained.folder
    dataset = open_dataset(run, loaded)  # for the report card
    assert len(dataset.rows(dataset.select(recipe).train_rows)) == 2
    assert tokenizer.num_renders == 2
    assert len(list((tmp_path / DATASETS_FOLDER).iterdir())) == 1


@pytest.mark.slow
def test_changed_file_is_never_served_stale(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    first = prepare([rows_file], tokenizer, tmp_path)
    write(rows_file, ROWS[:1])
    second = prepare([rows_file], tokenizer, tmp_path)
    assert len(second.summaries()) == 1
    assert second.sha256 != first.sha256
    assert len(first.summaries()) == len(ROWS)


def test_other_tokenizer_makes_another_dataset(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    class OtherVocabulary(MistralTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return super().token_bytes(token_id).upper()

    other = OtherVocabulary(EMBEDDED_FOLDER)
    assert other.template_hash == tokenizer.template_hash
    assert fingerprint(other) != fingerprint(tokenizer)


@pytest.mark.parametrize("damage", ["deleted", "cut off", "no manifest"])
def test_damaged_dataset_is_made_anew(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path, damage: str
) -> None:
    sha256 = prepare([rows_file], tokenizer, tmp_path).sha256
    (folder,) = (tmp_path / DATASETS_FOLDER).iterdir()
    if damage == "deleted":
        shutil.rmtree(folder)
    elif damage == "cut off":
        (folder / "rows.parquet").write_bytes((folder / "rows.parquet").read_bytes()[:100])
    else:
        (folder / "dataset.json").unlink()
    again = prepare([rows_file], tokenizer, tmp_path)
    assert again.sha256 == sha256
    assert len(again.summaries()) == len(ROWS)


def test_dataset_outlives_its_folder(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    dataset = prepare([rows_file], tokenizer, tmp_path)
    shutil.rmtree(tmp_path / DATASETS_FOLDER)
    assert len(dataset.select(embedded_cpu()).train) == len(ROWS)


def test_evaluation_file_replaces_eval_fraction(
    tokenizer: CountingTokenizer, rows_file: Path, tmp_path: Path
) -> None:
    held_out = write(tmp_path / "held.jsonl", ROWS[:1])
    recipe = replace(embedded_cpu(), eval_fraction=0.9)
    data = prepare([rows_file], tokenizer, tmp_path, held_out).select(recipe)
    assert (len(data.train), len(data.eval)) == (len(ROWS), 1)


@pytest.mark.slow
def test_run_refuses_changed_file(tmp_path: Path, rows_file: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    run = new_run(tmp_path, "colours", embedded_cpu(), [rows_file])
    write(run.files[0], ROWS[:1])
    with pytest.raises(InvalidSettings, match="not what the run was made of"):
        open_dataset(run, loaded)


def test_run_keeps_its_column_mapping(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    file = write(tmp_path / "rows.jsonl", [{"question": "What is red?", "answer": "A colour."}])
    columns = {"question": "prompt", "answer": "completion"}
    run = open_run(new_run(tmp_path, "colours", embedded_cpu(), [file], columns=columns).folder)
    assert len(open_dataset(run, loaded).select(run.recipe).train) == 1


def test_other_mapping_makes_another_dataset(tokenizer: CountingTokenizer, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [{"question": "What is red?", "answer": "A colour."}])
    columns = {"question": "prompt", "answer": "completion"}
    datasets = [prepare([file], tokenizer, tmp_path, columns=each) for each in ({}, columns)]
    assert [len(dataset.summaries()) for dataset in datasets] == [0, 1]
