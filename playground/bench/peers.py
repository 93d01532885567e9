"""The same work done by transformers on a copy of the same weights: `generate` and its continuous
batching, as `transformers serve --continuous-batching` runs it, here without HTTP.
"""

import time
from collections.abc import Sequence

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, MistralForCausalLM

PAGES = 512
PAGE_TOKENS = 32
PATIENCE_SECONDS = 600

Work = Sequence[tuple[tuple[int, ...], int]]


def static_generate(model: MistralForCausalLM, work: Work) -> float:
    """Tokens a second of one padded `generate` call; requests that want fewer tokens than the
    longest have theirs counted and the rest thrown away.
    """
    width = max(len(prompt) for prompt, _ in work)
    ids = torch.full((len(work), width), 11)
    mask = torch.zeros(len(work), width, dtype=torch.long)
    for row, (prompt, _) in enumerate(work):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    began = time.perf_counter()
    with torch.inference_mode():
        model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max(new for _, new in work),
            do_sample=False,
            pad_token_id=11,
        )
    return sum(new for _, new in work) / (time.perf_counter() - began)


class ContinuousBatching:
    """transformers' continuous batching, kept running between measures."""

    def __init__(self, model: MistralForCausalLM) -> None:
        settings = ContinuousBatchingConfig(num_blocks=PAGES, block_size=PAGE_TOKENS)
        self._manager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=11),
            continuous_batching_config=settings,
        )
        self._manager.start()

    def throughput(self, work: Work) -> float:
        """Tokens a second, all requests at once."""
        began = time.perf_counter()
        waiting = {
            self._manager.add_request(list(prompt), max_new_tokens=new) for prompt, new in work
        }
        tokens = 0
        while waiting:
            result = self._manager.get_result(timeout=PATIENCE_SECONDS)
            if result is None:
                raise RuntimeError("continuous batching gave no result for ten minutes")
            if result.is_finished():
                waiting.discard(result.request_id)
                tokens += len(result.generated_tokens)
        return tokens / (time.perf_counter() - began)

    def close(self) -> None:
        """End its thread."""
        self._manager.stop(block=True)
