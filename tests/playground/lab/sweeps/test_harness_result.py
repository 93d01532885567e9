"""Tasks of lm-eval as a sweep's result: one file, kept in a job's folder, on the same page."""

from pathlib import Path

import pytest

from playground.errors import InvalidRequest
from playground.evaluation.harness.results import HarnessResult, RowAnswer, TaskFigure
from playground.lab.sweeps.harness import ModelResult, read_harness_run, result_of_run
from playground.lab.sweeps.harness_job import shown_result, write_run, write_shown
from playground.protocol import ModelInfo, Provenance
from playground.protocol.json_types import JsonObject
from playground.ui.sweeps.views import answers_table, cells_table

BODY: JsonObject = {"tasks": ["sums", "prose"], "models": ["base", "new"], "limit": 4}


def of_model(name: str, right: int) -> ModelResult:
    figure = TaskFigure("sums", "exact_match", "none", right / 4, 0.2, True, 4, 0, "1", True)
    rows = [
        RowAnswer("sums", row, f"{row} + 1", str(row + 1), "?", {figure.name: float(row < right)})
        for row in range(4)
    ]
    prose = RowAnswer("prose", 0, "A text.", "", "log-likelihood -3.0000")
    info = ModelInfo(name, 512, provenance=Provenance(base_hash="b", adapter_hash=name))
    return ModelResult(info, HarnessResult((figure,), (*rows, prose), 5, 5))


def test_models_are_cells_compared_by_row() -> None:
    result = result_of_run(read_harness_run(BODY), [of_model("base", 1), of_model("new", 3)])
    body = result.as_json()
    assert (body["format"], body["done"], body["total"]) == ("playground.sweep/1", 10, 10)
    first, second = (result.cell_json(cell) for cell in result.sweep.cells)
    assert [first["label"], second["label"]] == ["base", "new"]
    assert (first["passed"], second["passed"]) == (1, 3)
    assert first["graders"] == {"sums exact_match": first["score"]}
    assert (result.compare(1, 0).better, result.compare(1, 0).worse) == (2, 0)
    assert result.sweep.notes[0] == "base: sums exact_match 0.2500 ± 0.2000, 4 rows, 0-shot"
    with pytest.raises(InvalidRequest, match="not to be trained on"):
        result.training_rows(0, 5)


def test_result_is_read_back_from_its_folder(tmp_path: Path) -> None:
    run = read_harness_run(BODY)
    write_run(tmp_path, run)
    begun = shown_result(tmp_path)
    assert (len(begun.sweep.cells), begun.answers) == (2, {})
    made = result_of_run(run, [of_model("base", 1)])
    write_shown(tmp_path, made)
    again = shown_result(tmp_path)
    assert again.as_json() == made.as_json()
    assert len(cells_table([again.cell_json(cell) for cell in again.sweep.cells])["data"]) == 2
    assert answers_table(again, 0)["data"][0][2:4] in (["2", "?"], ["", "log-likelihood -3.0000"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": []}, "tasks: name at least one"),
        ({"limit": 0}, "limit: 0 is no whole number from 1 on"),
        ({"rows": []}, "rows: tasks have no such field"),
        ({"apply_chat_template": "yes"}, "apply_chat_template: 'yes' is neither true nor false"),
    ],
)
def test_wrong_field_is_named(change: JsonObject, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_harness_run({**BODY, **change})
