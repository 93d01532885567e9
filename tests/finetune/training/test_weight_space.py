"""LoRA computed as W + s·B·A is PEFT's own, and only labelled positions are scored on a CPU."""

import copy
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from finetune.training.weight_space import use_weight_space
from playground.models.loader import load
from playground.models.spec import ModelSpec


def small_peft_model() -> PeftModel:
    torch.manual_seed(0)
    model = load(ModelSpec("embedded")).model
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    return tuned


def test_weight_space_leaves_quantized_layers(tmp_path: Path) -> None:
    spec = ModelSpec("embedded", precision="bf16", quantization="int8")
    tuned = get_peft_model(load(spec, home=tmp_path).model, LoraConfig(target_modules=["q_proj"]))
    assert use_weight_space(tuned) == 0


def loss_and_gradients(model: PeftModel) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(1)
    ids = torch.randint(100, 3000, (2, 24))
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return loss.detach(), gradients


def test_weight_space_loss_and_gradients_are_pefts() -> None:
    plain = small_peft_model()
    changed = copy.deepcopy(plain)
    assert use_weight_space(changed) == 28
    loss, gradients = loss_and_gradients(plain)
    same_loss, same_gradients = loss_and_gradients(changed)
    torch.testing.assert_close(same_loss, loss)
    assert gradients
    assert gradients.keys() == same_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, rtol=1e-3, atol=1e-6)


def test_weight_space_obeys_disabled_adapters() -> None:
    model = small_peft_model()
    ids = torch.arange(100, 120)[None]
    use_weight_space(model)
    with torch.no_grad(), model.disable_adapter():
        without = model(ids).logits
    with torch.no_grad():
        base = model.unload()(ids).logits
    torch.testing.assert_close(without, base)


@pytest.mark.slow
def test_labelled_positions_alone_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.kernels import chunked_logprob

    from tests.trained import train_adapter

    scored = []
    forward = chunked_logprob._forward_tile

    def counted(tile: Tensor, *rest: object, **flags: object) -> None:
        scored.append(tile.shape[0])
        forward(tile, *rest, **flags)

    monkeypatch.setattr(chunked_logprob, "_forward_tile", counted)
    train_adapter(tmp_path / "run")
    assert scored
    assert max(scored) < 2 * 16  # two rows, whose answers have fewer tokens than 16
