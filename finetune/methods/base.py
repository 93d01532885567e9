"""What every training method says of itself.

TRL is imported where a trainer is built only: checking rows and planning memory would otherwise
take seconds longer to start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from finetune.data.examples import AnyExample, PreferencePair
from finetune.recipe import Recipe
from playground.errors import InvalidSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

Columns = dict[str, list[list[int]]]


@dataclass(frozen=True, slots=True)
class TrainerParts:
    """What any trainer of TRL is made of. ``arguments`` are those of transformers'
    ``TrainingArguments``, the same for every method."""

    model: "PreTrainedModel"
    arguments: Mapping[str, object]
    train_dataset: "Dataset"
    eval_dataset: "Dataset | None"
    processing_class: "PreTrainedTokenizerBase"
    peft_config: "LoraConfig"


class Method(Protocol):
    """A way to train. ``needed_rows`` names the rows that it takes, for people;
    ``takes_pairs`` says whether those are preferences; ``sequences_per_row`` is how many sequences
    a row of a micro batch is in memory; ``uses_replay`` says whether general rows are mixed in."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def needed_rows(self) -> str: ...  # noqa: D102

    @property
    def takes_pairs(self) -> bool: ...  # noqa: D102

    @property
    def sequences_per_row(self) -> int: ...  # noqa: D102

    @property
    def uses_replay(self) -> bool: ...  # noqa: D102

    def uses_packing(self, recipe: Recipe) -> bool:
        """Whether several rows share a sequence."""
        ...

    def columns(self, sequences: Sequence[Sequence[AnyExample]]) -> Columns:
        """Columns of the data set that the trainer takes; a sequence is one example or several
        packed ones."""
        ...

    def build_trainer(self, recipe: Recipe, parts: TrainerParts) -> "Trainer":
        """Build TRL's trainer over rows that are tokenized and in order already."""
        ...


def method_problem(method: Method, num_pairs: int, num_others: int) -> str | None:
    """Say which method rows need that do not fit this one; None if all fit."""
    wrong = num_others if method.takes_pairs else num_pairs
    if not wrong:
        return None
    kind, needed = ("other rows", "sft") if method.takes_pairs else ("preferences", "dpo")
    total = num_pairs + num_others
    advice = f"{kind} are trained with method {needed} (--set method={needed})"
    if wrong < total:
        advice += ", in a file of their own"
    return f"recipe.method: {wrong:,} of {total:,} rows do not fit {method.name}: {advice}"


def check_examples(method: Method, examples: Sequence[AnyExample]) -> None:
    """Raise `InvalidSettings` if nothing would be trained, or rows do not fit the method."""
    num_pairs = sum(isinstance(example, PreferencePair) for example in examples)
    problem = method_problem(method, num_pairs, len(examples) - num_pairs)
    if problem:
        raise InvalidSettings(problem)
    if not any(example.num_trained_tokens for example in examples):
        raise InvalidSettings(
            f"no token of these rows would be trained: {method.needed_rows} are needed"
        )
