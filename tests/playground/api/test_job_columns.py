"""A job's body takes the mapping of columns and the public tasks that the command takes."""

import pytest
from pydantic import ValidationError

from finetune.data.formats import read_columns
from finetune.recipe import embedded_cpu
from playground.api.fine_tuning_body import JobBody, recipe_of

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


@pytest.mark.parametrize("tasks", ["gsm8k,ifeval", ["gsm8k", "ifeval"]])
def test_job_tasks_are_the_recipes(tasks: object) -> None:
    asked = {"training_file": "f", "model": "m", "eval_tasks": tasks, "eval_limit": 9}
    recipe = recipe_of(JobBody.model_validate(asked), embedded_cpu())
    assert (recipe.eval_tasks, recipe.eval_limit) == ("gsm8k,ifeval", 9)
