"""The slower runner, for models whose sequences cannot share a step: each runs alone.

State-space and hybrid models, and those that do not use transformers' attention interface. The
state of a sequence is whatever transformers' own generation loop carries from token to token
(generation/utils.py, 5.23); it cannot be cut back, so that there is no chunked prefill, no prefix
cache and no drafting here. Knows tensors and caches; knows no request.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.batch import ScheduledChunk
from playground.engine.kv_cache import CacheBudget
from playground.engine.lora import AdapterBank


class SequentialRunner:
    """Runs the chunks of a step one after another; adapters as everywhere."""

    supports_batching = False

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank) -> None:
        self._model = model
        self._device = model.get_input_embeddings().weight.device
        self.adapters = adapters

    def budget(self, tokens: int, context_length: int) -> CacheBudget:  # noqa: ARG002 - paging needs it
        """Return the budget that sequences share, counted in tokens whatever a model keeps."""
        return CacheBudget(tokens)

    @torch.inference_mode()
    def forward(self, chunks: Sequence[ScheduledChunk]) -> Tensor:
        """See `PackedRunner.forward`.

        Each chunk moves its sequence's state on: one that fails must not be run again.
        """
        logits = [self._advance(chunk) for chunk in chunks]
        return torch.cat(logits).float()

    def _advance(self, chunk: ScheduledChunk) -> Tensor:
        """Run a prompt at once, later tokens one by one: states take no more at a time.

        Return the chunk's rows of logits.
        """
        token_ids = list(chunk.token_ids)
        if chunk.start == 0:
            mask = self._tensor([1] * len(token_ids))
            chunk.cache.state = {"use_cache": True, "attention_mask": mask}
            logits = self._run(chunk, token_ids, first=True)
        else:
            rows = [self._run(chunk, [token_id], first=False) for token_id in token_ids]
            logits = torch.cat(rows)
        return logits[len(logits) - chunk.num_logits :]

    def _run(self, chunk: ScheduledChunk, token_ids: list[int], *, first: bool) -> Tensor:
        cache = chunk.cache
        inputs = self._model.prepare_inputs_for_generation(
            self._tensor(token_ids),
            next_sequence_length=None if first else len(token_ids),
            is_first_iteration=first,
            **cache.state,
        )
        with self.adapters.hooks_use(self.adapters.for_rows([chunk.slot] * len(token_ids))):
            output = self._model(**inputs, return_dict=True)
        cache.state = self._model._update_model_kwargs_for_generation(output, cache.state)
        logits: Tensor = output.logits[0]
        return logits

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor([values], dtype=torch.long, device=self._device)
