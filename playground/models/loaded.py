"""A model in memory: what the loader makes and the engine and the trainer borrow."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from playground.models.spec import ModelSpec
from playground.models.tokenizer import ChatTokenizer

ONE_THREAD_BELOW = 50_000_000
"""Parameters; a smaller model's products end before a second thread has woken up, and on a machine
that does something else beside, two threads were 80 times slower than one (docs/log.md)."""


def wants_one_thread(model: PreTrainedModel) -> bool:
    """Whether a model is so small that more CPU threads make it slower."""
    return model.device.type == "cpu" and bool(model.num_parameters() < ONE_THREAD_BELOW)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Model, tokenizer and what identifies them.

    ``weights_hash`` covers the weights as stored; with the tokenizer's ``template_hash`` it says
    whether an adapter was made for this base.
    """

    name: str
    spec: ModelSpec
    model: PreTrainedModel
    tokenizer: ChatTokenizer
    context_length: int
    weights_hash: str

    @property
    def template_hash(self) -> str:
        """Hash of the rendering."""
        return self.tokenizer.template_hash
