"""What the engine is measured beside: the protocol of a peer, and transformers in this process.

Each peer works on a copy of the same weights; `playground.bench.served` has those behind HTTP.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, MistralForCausalLM

from playground.errors import RequestFailed

CACHE_PAGES = 640
PAGE_TOKENS = 32
"""32 sequences of 640 tokens: what the largest measure fills."""
BATCH_TOKENS = 512
"""Tokens of one of continuous batching's steps: what its attention mask and its time grow with.
The engine's own default, too."""
PATIENCE_SECONDS = 600
PAD_ID = 11

Work = Sequence[tuple[tuple[int, ...], int]]
"""Prompts of token ids, each with the number of tokens wanted after it."""


class Peer(Protocol):
    """Another system over the same weights; ``name`` heads its column."""

    name: str

    def throughput(self, work: Work) -> float:
        """Generated tokens a second, all requests at once, prefill included."""
        ...

    def close(self) -> None:
        """End its threads and processes."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """What a peer is made of: the weights, CPU threads, and an empty folder for its files."""

    model: MistralForCausalLM
    threads: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """A peer that may be started here. ``missing`` says why it cannot and how to get it, or
    nothing. ``start`` raises `PlaygroundError`.
    """

    name: str
    missing: Callable[[], str]
    start: Callable[[Source], Peer]


class StaticGenerate:
    """transformers' `generate`: one padded batch. Requests that want fewer tokens than the longest
    have theirs counted and the rest thrown away.
    """

    name = "generate"

    def __init__(self, source: Source) -> None:
        self._model = copy.deepcopy(source.model)

    def throughput(self, work: Work) -> float:
        """Tokens a second."""
        width = max(len(prompt) for prompt, _ in work)
        ids = torch.full((len(work), width), PAD_ID)
        mask = torch.zeros(len(work), width, dtype=torch.long)
        for row, (prompt, _) in enumerate(work):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        began = time.perf_counter()
        with torch.inference_mode():
            self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max(new for _, new in work),
                do_sample=False,
                pad_token_id=PAD_ID,
            )
        return sum(new for _, new in work) / (time.perf_counter() - began)

    def close(self) -> None:
        """Nothing runs."""


class ContinuousBatching:
    """transformers' continuous batching without HTTP, kept running between measures."""

    name = "continuous batching"

    def __init__(self, source: Source) -> None:
        model = copy.deepcopy(source.model)
        self._manager = model.init_continuous_batching(
            generation_config=GenerationConfig(
                do_sample=False, eos_token_id=-1, pad_token_id=PAD_ID
            ),
            continuous_batching_config=ContinuousBatchingConfig(
                num_blocks=CACHE_PAGES, page_size=PAGE_TOKENS, max_batch_tokens=BATCH_TOKENS
            ),
        )
        self._manager.start()

    def throughput(self, work: Work) -> float:
        """Tokens a second."""
        began = time.perf_counter()
        waiting = {
            self._manager.add_request(list(prompt), max_new_tokens=new) for prompt, new in work
        }
        tokens = 0
        while waiting:
            result = self._manager.get_result(timeout=PATIENCE_SECONDS)
            if result is None:
                raise RequestFailed(f"{self.name} gave no result for {PATIENCE_SECONDS} s")
            if result.is_finished():
                waiting.discard(result.request_id)
                tokens += len(result.generated_tokens)
        return tokens / (time.perf_counter() - began)

    def close(self) -> None:
        """End its thread."""
        self._manager.stop(block=True)


IN_PROCESS = (
    Kind(StaticGenerate.name, lambda: "", StaticGenerate),
    Kind(ContinuousBatching.name, lambda: "", ContinuousBatching),
)
