"""A model in memory: what the loader makes and the engine and the trainer borrow."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from playground.models.spec import ModelSpec
from playground.models.tokenizer import ChatTokenizer


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
