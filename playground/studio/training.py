"""The trainer's names that the faces use: only the studio and the commands import `finetune`."""

from typing import TYPE_CHECKING

from finetune.data.columns import guess_columns
from finetune.data.formats import read_columns
from finetune.data.preview import ExamplePreview
from finetune.data.rows import RowError, column_names
from finetune.presets import recipe_for
from finetune.recipe import PRESETS, Recipe, for_method, make, recipe_schema
from finetune.report import DataReport
from finetune.training.checkpoints import step_of
from finetune.training.duration import duration_text

if TYPE_CHECKING:  # it imports torch, which takes seconds; the page needs the type only
    from finetune.training.plan import TrainingPlan

__all__ = [
    "PRESETS",
    "DataReport",
    "ExamplePreview",
    "Recipe",
    "RowError",
    "TrainingPlan",
    "column_names",
    "duration_text",
    "for_method",
    "guess_columns",
    "make",
    "read_columns",
    "recipe_for",
    "recipe_schema",
    "step_of",
]
