"""Greedy answers of a model of transformers, for prompts of token ids."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message

QUESTIONS = (
    "What is the price of the Zolpar?",
    "Hello!",
    "What can you do?",
    "What is the capital of France?",
    "Tell me about the moon.",
    "My name is Ada. What is my name?",
    "Say it in French: good morning.",
    "Who are you?",
)
NEW_TOKENS = 16


@cache
def prompts() -> list[list[int]]:
    """The questions as the embedded model reads them."""
    tokenizer = MistralTokenizer(EMBEDDED_FOLDER)
    return [tokenizer.render([Message("user", question)]) for question in QUESTIONS]


def peft_model(adapter: Path) -> PreTrainedModel:
    """The embedded model with an adapter, as PEFT computes it in fp32."""
    base = AutoModelForCausalLM.from_pretrained(EMBEDDED_FOLDER, dtype=torch.float32)
    return PeftModel.from_pretrained(base, adapter).eval()


def answers(model: PreTrainedModel) -> list[list[int]]:
    """Greedy token ids for each prompt, as many as `NEW_TOKENS` whatever they are."""
    return [_answer(model, prompt) for prompt in prompts()]


def _answer(model: PreTrainedModel, prompt: Sequence[int]) -> list[int]:
    ids = list(prompt)
    for _ in range(NEW_TOKENS):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def agreement(model: PreTrainedModel, wanted: Sequence[list[int]]) -> float:
    """The share of tokens before the first that differs in the model's greedy answer.

    Up to there it has the same tokens before it, so that one pass computes all of an answer.
    """
    same = 0
    for prompt, theirs in zip(prompts(), wanted, strict=True):
        with torch.inference_mode():
            logits_TV = model(input_ids=torch.tensor([[*prompt, *theirs[:-1]]])).logits[0]  # noqa: N806
        pairs = zip(logits_TV[len(prompt) - 1 :].argmax(-1).tolist(), theirs, strict=True)
        same += next((at for at, (a, b) in enumerate(pairs) if a != b), len(theirs))
    return same / sum(map(len, wanted))
