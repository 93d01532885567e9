from pathlib import Path

import pytest
import torch

from recipes.tiny_mistral.batches import BatchSource, Position
from recipes.tiny_mistral.config import Recipe, tiny
from recipes.tiny_mistral.initialise import new_model
from recipes.tiny_mistral.pretrain import Trainer
from recipes.tiny_mistral.rendering import Renderer


def test_an_interrupted_run_ends_with_the_same_weights(renderer: Renderer, tmp_path: Path) -> None:
    recipe = tiny()
    through = Trainer(recipe, renderer)
    through.run(recipe.steps)
    first = Trainer(recipe, renderer)
    first.run(3)
    first.save(tmp_path / "checkpoint.pt")
    second = Trainer(recipe, renderer)
    second.load(tmp_path / "checkpoint.pt")
    second.run(recipe.steps)
    assert second.progress.tokens == through.progress.tokens
    for name, tensor in through.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_a_checkpoint_of_another_recipe_is_refused(renderer: Renderer, tmp_path: Path) -> None:
    Trainer(tiny(), renderer).save(tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="another recipe"):
        Trainer(tiny().shortened(9), renderer).load(tmp_path / "checkpoint.pt")


def test_batches_can_be_found_again_from_a_position(renderer: Renderer) -> None:
    source = BatchSource(tiny(), renderer, Position())
    stream = source.batches(0)
    for _ in range(9):
        next(stream)
    position = Position(**{n: getattr(source.position, n) for n in ("chunk", "began", "used")})
    wanted = next(stream)
    again = next(BatchSource(tiny(), renderer, position).batches(9))
    assert torch.equal(wanted.ids_BT, again.ids_BT)
    assert torch.equal(wanted.weights_BT, again.weights_BT)


def test_the_structured_start_copies_before_any_training() -> None:
    model = new_model(Recipe(), 2048).eval()
    half = torch.randint(32, 2048, (4, 24), generator=torch.Generator().manual_seed(1))
    ids = torch.cat([half, half], dim=1)
    with torch.no_grad():
        predicted = model(ids).logits[:, 24:-1].argmax(-1)
    assert (predicted == ids[:, 25:]).float().mean() > 0.25
