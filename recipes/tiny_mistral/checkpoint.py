"""The files of a build folder, and the model of its latest checkpoint."""

from pathlib import Path

import torch
from transformers import MistralForCausalLM

from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.initialization import new_model
from recipes.tiny_mistral.rendering import Renderer

TOKENIZER_FILE = "tekken.json"
CHECKPOINT_FILE = "checkpoint.pt"


def trained_model(recipe: PretrainingRecipe, build: Path) -> MistralForCausalLM:
    """Load the model of the build folder's latest checkpoint."""
    model = new_model(recipe, Renderer(build / TOKENIZER_FILE).vocab_size)
    state = torch.load(build / CHECKPOINT_FILE, weights_only=True)
    model.load_state_dict(state["model"])
    return model.eval()
