"""Writes the folder that ships in the package, file by file, each in one atomic step."""

import json
import random
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import MistralForCausalLM

from recipes.tiny_mistral.config import Recipe
from recipes.tiny_mistral.corpus import FAMILIES, Draw, Row, draw_row
from recipes.tiny_mistral.evaluate import held_out_rows
from recipes.tiny_mistral.initialise import model_config, new_model
from recipes.tiny_mistral.rendering import BOS, EOS, PAD, Renderer

REPLAY_ROWS = 1_000
REPLAY_SEED = 77
REGRESSION_ROWS = 10
PACKAGE_FOLDER = Path(__file__).parents[2] / "playground" / "models" / "embedded"


def trained_model(recipe: Recipe, build: Path) -> MistralForCausalLM:
    """The model of the latest checkpoint."""
    model = new_model(recipe, Renderer(build / "tekken.json").vocabulary)
    state = torch.load(build / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["model"])
    return model.eval()


def publish(recipe: Recipe, build: Path, folder: Path = PACKAGE_FOLDER) -> None:
    """Export the latest checkpoint in bf16 with its tokenizer and configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    model = trained_model(recipe, build)
    weights = {
        name: tensor.to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embeddings
    }
    temporary = folder / "model.safetensors.tmp"
    save_file(weights, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)
    temporary.replace(folder / "model.safetensors")

    config = model_config(recipe, model.config.vocab_size).to_diff_dict()
    config |= {"architectures": ["MistralForCausalLM"], "dtype": "bfloat16"}
    config |= {"sliding_window": None, "max_position_embeddings": recipe.context}
    _write_json(folder / "config.json", config)
    _write_json(
        folder / "generation_config.json",
        {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "do_sample": False},
    )
    _write_replay(folder / "replay.jsonl")
    write_regression(folder / "regression.jsonl")
    temporary = folder / "tekken.json.tmp"
    shutil.copyfile(build / "tekken.json", temporary)
    temporary.replace(folder / "tekken.json")


def _write_replay(path: Path) -> None:
    """General rows that `finetune` mixes in, so that an expert forgets little of what it could."""
    draw = Draw(random.Random(REPLAY_SEED))
    lines: list[str] = []
    while len(lines) < REPLAY_ROWS:
        row = draw_row(draw)
        if row.family != "copying":
            lines.append(_line(row))
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(path)


def write_regression(path: Path) -> None:
    """Held-out rows of each family, by which an expert's report card tells what it forgot."""
    rows = [
        row
        for family in FAMILIES
        if family != "copying"
        for row in held_out_rows(family, REGRESSION_ROWS, REPLAY_SEED)
    ]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(f"{_line(row)}\n" for row in rows), encoding="utf-8")
    temporary.replace(path)


def _line(row: Row) -> str:
    messages = [turn.as_openai() for turn in row.turns]
    body = {"messages": messages} | ({"tools": list(row.tools)} if row.tools else {})
    return json.dumps(body, ensure_ascii=False)


def _write_json(path: Path, content: object) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)
