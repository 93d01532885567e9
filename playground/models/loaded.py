"""A loaded model, which engine and trainer share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playground.models.spec import ModelSpec
from playground.models.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ONE_THREAD_BELOW = 50_000_000
"""Parameters; the matmuls of a smaller model end before a second thread wakes up; on a busy machine
two threads were 80 times slower (docs/log.md, "One thread or two for the embedded model")."""


def wants_one_thread(model: "PreTrainedModel") -> bool:
    """Tell whether the model is so small that more CPU threads make it slower."""
    return model.device.type == "cpu" and bool(model.num_parameters() < ONE_THREAD_BELOW)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with its tokenizer, and the ``folder`` that both came from.

    ``weights_hash`` covers the weights as stored; an adapter fits the base if this hash and the
    tokenizer's ``template_hash`` are those that it was trained with.
    """

    name: str
    spec: ModelSpec
    folder: Path
    model: "PreTrainedModel"
    tokenizer: ChatTokenizer
    context_length: int
    weights_hash: str

    @property
    def template_hash(self) -> str:
        """Hash of the chat template."""
        return self.tokenizer.template_hash
