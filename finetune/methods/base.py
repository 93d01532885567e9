"""What every training method says of itself.

Which rows fit a method is decided by the kind of their examples. TRL is imported where a trainer is
built only: checking rows and planning memory would otherwise take seconds longer to start.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from finetune.data.examples import AnyExample, PreferencePair, UnpairedExample
from finetune.recipe import Recipe
from playground.errors import InvalidSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

Columns = dict[str, list[list[int]] | list[bool]]


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
    """A way to train. ``needed_rows`` names the rows that it takes, for people.

    ``sequences_per_row`` is how many sequences a row of a micro batch is in memory, forward and
    backward; ``forwards_per_row`` how many more are only run forward (the reference's).
    ``uses_replay`` says whether general rows are mixed in. ``splits_micro_batches`` says whether
    the loss stays the same if a micro batch is divided among processes; ``padding_row`` is a row
    of `columns` without a trained token, if there can be one: such rows fill the last step's micro
    batches.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def needed_rows(self) -> str: ...  # noqa: D102

    @property
    def sequences_per_row(self) -> int: ...  # noqa: D102

    @property
    def forwards_per_row(self) -> int: ...  # noqa: D102

    @property
    def uses_replay(self) -> bool: ...  # noqa: D102

    @property
    def splits_micro_batches(self) -> bool: ...  # noqa: D102

    @property
    def padding_row(self) -> "Mapping[str, list[int]] | None": ...  # noqa: D102

    def uses_packing(self, recipe: Recipe) -> bool:
        """Whether several rows share a sequence."""
        ...

    def problem(self, recipe: Recipe, labels: Collection[bool | None]) -> str | None:
        """Why rows that are of the right kind cannot be trained; ``labels`` are theirs."""
        ...

    def columns(self, recipe: Recipe, sequences: Sequence[Sequence[AnyExample]]) -> Columns:
        """Columns of the data set that the trainer takes; a sequence is one example or several
        packed ones."""
        ...

    def build_trainer(self, recipe: Recipe, parts: TrainerParts) -> "Trainer":
        """Build TRL's trainer over rows that are tokenized and in order already."""
        ...


METHOD_OF_KIND: Mapping[str, str] = MappingProxyType(
    {"conversation": "sft", "text": "sft", "preference": "dpo", "unpaired": "kto"}
)
"""The method that trains each kind of row."""
ROWS_OF_METHOD: Mapping[str, str] = MappingProxyType(
    {"sft": "rows without preferences", "dpo": "preferences", "kto": "rows with a label (KTO)"}
)


def kind_of(example: AnyExample) -> str:
    """Return the kind of row that an example is of; text counts as a conversation."""
    if isinstance(example, UnpairedExample):
        return "unpaired"
    return "preference" if isinstance(example, PreferencePair) else "conversation"


def method_problem(method: Method, kinds: Collection[str]) -> str | None:
    """Say which method rows of these kinds need, if that is not this one; None if all fit."""
    needed = Counter(METHOD_OF_KIND[kind] for kind in kinds)
    others = [(name, number) for name, number in needed.items() if name != method.name]
    if not others:
        return None
    wrong = sum(number for _, number in others)
    advice = "; ".join(
        f"{ROWS_OF_METHOD[name]} are trained with method {name} (--set method={name})"
        for name, _ in others
    )
    if wrong < len(kinds) or len(others) > 1:
        advice += ", in a file of their own"
    return f"recipe.method: {wrong:,} of {len(kinds):,} rows do not fit {method.name}: {advice}"


def check_examples(method: Method, recipe: Recipe, examples: Sequence[AnyExample]) -> None:
    """Raise `InvalidSettings` if nothing would be trained, or rows do not fit the method."""
    problem = method_problem(method, [kind_of(example) for example in examples])
    if problem:
        raise InvalidSettings(problem)
    if not any(example.num_trained_tokens for example in examples):
        raise InvalidSettings(
            f"no token of these rows would be trained: {method.needed_rows} are needed"
        )
    labels = [each.label if isinstance(each, UnpairedExample) else None for each in examples]
    if problem := method.problem(recipe, labels):
        raise InvalidSettings(problem)
