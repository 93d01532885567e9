"""The slower way, for models whose sequences cannot share a step: each runs alone.

State-space and hybrid models, and those that do not use transformers' attention interface. A
model's state is whatever transformers' own generation loop carries from token to token
(generation/utils.py, 5.23); it cannot be cut back, so that there are no chunks of prompts, no
kept prefixes and no drafts here. Knows tensors and caches; knows no request.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.batch import Piece
from playground.engine.kv_cache import CacheBudget
from playground.engine.lora import AdapterBank


class SequentialRunner:
    """Runs the pieces of a step one after another; adapters as everywhere."""

    packs = False

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank) -> None:
        self._model = model
        self._device = model.get_input_embeddings().weight.device
        self.adapters = adapters

    def budget(self, tokens: int, context: int) -> CacheBudget:  # noqa: ARG002 - pages need it
        """What sequences may hold: counted in tokens, whatever a model keeps of them."""
        return CacheBudget(tokens)

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Piece]) -> Tensor:
        """Logits ``[pieces that want them, vocabulary]`` after each such piece's last token, fp32.

        Each piece moves its sequence's state on: one that fails must not be run again.
        """
        logits = [self._advance(piece) for piece in pieces]
        wanted = [row for row, piece in zip(logits, pieces, strict=True) if piece.wants_logits]
        return torch.stack(wanted).float() if wanted else torch.empty(0)

    def _advance(self, piece: Piece) -> Tensor:
        """The prompt at once, or one token after another: states take no more at a time."""
        cache, ids = piece.cache, list(piece.token_ids)
        if piece.start == 0:
            cache.state = {"use_cache": True, "attention_mask": self._tensor([1] * len(ids))}
            return self._run(piece, ids, first=True)
        return [self._run(piece, [token_id], first=False) for token_id in ids][-1]

    def _run(self, piece: Piece, ids: list[int], *, first: bool) -> Tensor:
        self.adapters.select([piece.slot] * len(ids))
        cache = piece.cache
        inputs = self._model.prepare_inputs_for_generation(
            self._tensor(ids),
            next_sequence_length=None if first else len(ids),
            is_first_iteration=first,
            **cache.state,
        )
        output = self._model(**inputs, return_dict=True)
        cache.state = self._model._update_model_kwargs_for_generation(output, cache.state)
        logits: Tensor = output.logits[0, -1]
        return logits

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor([values], dtype=torch.long, device=self._device)
