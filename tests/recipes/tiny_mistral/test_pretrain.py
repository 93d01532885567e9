from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recipes.tiny_mistral.batches import BatchSource, DataPosition
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.initialization import new_model
from recipes.tiny_mistral.pretrain import PreTrainer
from recipes.tiny_mistral.rendering import Renderer


@pytest.mark.slow
def test_interrupted_run_ends_with_same_weights(
    tiny_recipe: PretrainingRecipe, renderer: Renderer, tmp_path: Path
) -> None:
    uninterrupted = PreTrainer(tiny_recipe, renderer)
    uninterrupted.run(tiny_recipe.max_steps)
    first = PreTrainer(tiny_recipe, renderer)
    first.run(3)
    first.save(tmp_path / "checkpoint.pt")
    second = PreTrainer(tiny_recipe, renderer)
    second.load(tmp_path / "checkpoint.pt")
    second.run(tiny_recipe.max_steps)
    assert second.progress.tokens == uninterrupted.progress.tokens
    for name, tensor in uninterrupted.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_checkpoint_of_another_recipe_is_refused(
    tiny_recipe: PretrainingRecipe, renderer: Renderer, tmp_path: Path
) -> None:
    PreTrainer(tiny_recipe, renderer).save(tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="another recipe"):
        PreTrainer(tiny_recipe.scaled_to(9), renderer).load(tmp_path / "checkpoint.pt")


def test_batches_resume_from_a_position(tiny_recipe: PretrainingRecipe, renderer: Renderer) -> None:
    source = BatchSource(tiny_recipe, renderer, DataPosition())
    stream = source.batches(0)
    for _ in range(9):
        next(stream)
    position = replace(source.position)
    expected = next(stream)
    resumed = next(BatchSource(tiny_recipe, renderer, position).batches(9))
    assert torch.equal(expected.ids_BT, resumed.ids_BT)
    assert torch.equal(expected.weights_BT, resumed.weights_BT)


def test_untrained_model_copies_repeated_tokens() -> None:
    model = new_model(PretrainingRecipe(), 2048).eval()
    half = torch.randint(32, 2048, (4, 24), generator=torch.Generator().manual_seed(1))
    ids = torch.cat([half, half], dim=1)
    with torch.no_grad():
        predicted = model(ids).logits[:, 24:-1].argmax(-1)
    assert (predicted == ids[:, 25:]).float().mean() > 0.25
