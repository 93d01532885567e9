"""A job's body takes the mapping of columns that the command takes."""

import pytest
from pydantic import ValidationError

from finetune.data.formats import read_columns
from playground.api.fine_tuning_body import JobBody

TEXT = "Question=prompt,Answer=completion"


@pytest.mark.parametrize("columns", [TEXT, {"Question": "prompt", "Answer": "completion"}])
def test_job_columns_are_the_commands(columns: object) -> None:
    body = JobBody.model_validate({"training_file": "f", "model": "m", "columns": columns})
    assert body.columns == read_columns(TEXT)


@pytest.mark.parametrize("columns", [{"Q": "no"}, {"Q": 1}, "Q", 7, {"a": "text", "b": "text"}])
def test_job_columns_are_checked(columns: object) -> None:
    with pytest.raises(ValidationError, match="columns"):
        JobBody.model_validate({"training_file": "f", "model": "m", "columns": columns})


def test_columns_may_hold_commas() -> None:
    assert read_columns({"A, or B": "text"}) == {"a, or b": "text"}
