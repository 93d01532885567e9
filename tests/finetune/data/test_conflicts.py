"""Answers that contradict each other are found; other repetition is not."""

import json
from pathlib import Path

from finetune.data.dataset import prepare
from finetune.recipe import embedded_cpu
from finetune.report import report
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)


def conflicts_of(folder: Path, rows: list[dict[str, object]]) -> tuple[tuple[int, int], ...]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = report(prepare([path], TOKENIZER, folder), embedded_cpu()).conflicts
    return tuple((row.line, first.line) for row, first in found)


def pair(prompt: str, completion: str) -> dict[str, object]:
    return {"prompt": prompt, "completion": completion}


def test_conflicts_name_row_and_first(tmp_path: Path) -> None:
    rows = [pair("Gate?", "Four"), pair("Pier?", "Two"), pair("Gate?", "Five"), pair("Gate?", "6")]
    assert conflicts_of(tmp_path, rows) == ((3, 1), (4, 1))


def test_conflicts_leave_equal_answers_out(tmp_path: Path) -> None:
    assert conflicts_of(tmp_path, [pair("Gate?", "Four"), pair("Gate?", " Four\n")]) == ()


def test_conflicts_need_equal_context(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"system": system, "messages": [
            {"role": "user", "content": "Gate?"}, {"role": "assistant", "content": answer}]}
        for system, answer in (("North", "Four"), ("South", "Five"))
    ]  # fmt: skip
    assert conflicts_of(tmp_path, rows) == ()


def test_conflicts_of_turned_preferences(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": "Gate?", "chosen": "Four", "rejected": "Five"},
        {"prompt": "Gate?", "chosen": "Four", "rejected": "Six"},
        {"prompt": "Gate?", "chosen": "Five", "rejected": "Four"},
    ]
    assert conflicts_of(tmp_path, rows) == ((3, 1),)


def test_conflicts_of_labels(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": "Gate?", "completion": answer, "label": label}
        for answer, label in (("Four", True), ("Five", False), ("Four ", False), ("Six", True))
    ]
    assert conflicts_of(tmp_path, rows) == ((3, 1),)


def test_conflicts_tell_methods_apart(tmp_path: Path) -> None:
    rows = [pair("Gate?", "Four"), pair("Gate?", "Five") | {"label": False}]
    assert conflicts_of(tmp_path, rows) == ()
