"""Export of a build: the model folder that ships in the package, each file written atomically."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save

from playground.files import write_atomic
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.protocol.json_types import JsonObject
from recipes.tiny_mistral.checkpoint import TOKENIZER_FILE, trained_model
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.corpus import FAMILIES, CorpusRow, Draw, draw_row
from recipes.tiny_mistral.evaluation import held_out_rows
from recipes.tiny_mistral.initialization import model_config
from recipes.tiny_mistral.rendering import BOS, EOS, PAD

REPLAY_ROWS = 1_000
REPLAY_SEED = 77
REGRESSION_ROWS = 10
"""Rows of each task family in the regression set."""


def publish(recipe: PretrainingRecipe, build: Path, folder: Path = EMBEDDED_FOLDER) -> None:
    """Export the latest checkpoint in bf16, with its tokenizer, configuration and data files."""
    model = trained_model(recipe, build)
    weights = {
        name: tensor.to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embeddings
    }
    write_atomic(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))
    config = model_config(recipe, model.config.vocab_size).to_diff_dict()
    config |= {"architectures": ["MistralForCausalLM"], "dtype": "bfloat16"}
    config |= {
        "sliding_window": None,
        "max_position_embeddings": recipe.max_position_embeddings,
    }
    _write_json(folder / "config.json", config)
    _write_json(
        folder / "generation_config.json",
        {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "do_sample": False},
    )
    write_atomic(folder / "replay.jsonl", replay_jsonl())
    write_atomic(folder / "regression.jsonl", regression_jsonl())
    write_atomic(folder / TOKENIZER_FILE, (build / TOKENIZER_FILE).read_bytes())


def replay_jsonl() -> str:
    """Return general rows that fine-tuning mixes in, so that an adapter forgets less."""
    return "".join(f"{_line(row)}\n" for row in _replay_rows())


def regression_jsonl() -> str:
    """Return held-out rows of each family, which a report card measures forgetting with."""
    rows = (
        row
        for family in FAMILIES
        if family != "copying"
        for row in held_out_rows(family, REGRESSION_ROWS, REPLAY_SEED)
    )
    return "".join(f"{_line(row)}\n" for row in rows)


def _replay_rows() -> Iterator[CorpusRow]:
    draw = Draw(random.Random(REPLAY_SEED))
    count = 0
    while count < REPLAY_ROWS:
        row = draw_row(draw)
        if row.family != "copying":
            count += 1
            yield row


def _line(row: CorpusRow) -> str:
    body: JsonObject = {"messages": [turn.as_openai() for turn in row.turns]}
    if row.tools:
        body["tools"] = [*row.tools]
    return json.dumps(body, ensure_ascii=False)


def _write_json(path: Path, content: object) -> None:
    write_atomic(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
