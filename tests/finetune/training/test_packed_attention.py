"""Rows that are packed attend to themselves only, computed row by row."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from finetune.training.packed_attention import use_packed_attention
from playground.models.loader import load
from playground.models.spec import ModelSpec

LENGTHS = (7, 1, 12)


def loss_and_gradients(model: PreTrainedModel, **inputs: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(100, 3000, (1, sum(LENGTHS)))
    places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    model.zero_grad()
    loss = model(input_ids=ids, labels=ids, position_ids=places, use_cache=False, **inputs).loss
    loss.backward()
    layer = model.model.layers[0].self_attn
    return [loss.detach(), *(each.weight.grad for each in (layer.q_proj, layer.k_proj))]


def test_packed_rows_equal_the_mask() -> None:
    model = load(ModelSpec("embedded")).model.requires_grad_(True)
    model.set_attn_implementation("eager")
    wanted = loss_and_gradients(model)
    assert use_packed_attention(model)
    starts = torch.tensor([0, *LENGTHS]).cumsum(0)
    torch.testing.assert_close(loss_and_gradients(model, cu_seq_lens_q=starts), wanted)
    torch.testing.assert_close(loss_and_gradients(model), wanted)  # the mask, without lengths


@pytest.mark.parametrize(("field", "value"), [("model_type", "gpt_oss"), ("sliding_window", 64)])
def test_other_attention_is_kept(field: str, value: object) -> None:
    model = load(ModelSpec("embedded")).model
    setattr(model.config, field, value)
    kept = model.config._attn_implementation
    assert not use_packed_attention(model)
    assert model.config._attn_implementation == kept
