"""An adapter's config: every field is understood, harmless, or refused by its name."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel

from playground.errors import BrokenAdapter
from playground.models.adapter_config import FIELDS, read_settings
from playground.models.adapters import read_adapter
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol.json_types import Json, JsonObject
from tests.playground.adapter_files import random_adapter

CHANGED_BASE = ("pissa", "pissa_niter_4", "PiSSA", "olora", "corda", "loftq", "lora_ga")
REFUSED: dict[str, Json] = {
    "alora_invocation_tokens": [4],
    "arrow_config": {"top_k": 2},
    "bias": "lora_only",
    "kasa_config": {"beta": 1e-4},
    "layer_replication": [[0, 4], [2, 4]],
    "lora_bias": True,
    "megatron_config": {"hidden_size": 8},
    "modules_to_save": ["lm_head"],
    "monteclora_config": {"monteclora_n": 4},
    "some_new_field": {"x": 1},
    "target_parameters": ["mlp.down_proj.weight"],
    "task_type": "SEQ_CLS",
    "trainable_token_indices": [400],
    "use_bdlora": {"nblocks": 2},
    "use_dora": True,
    "use_qalora": True,
}
MALFORMED: dict[str, Json] = {
    "r": None,
    "lora_alpha": None,
    "alpha_pattern": [["q_proj", 3]],
    "rank_pattern": {"q_proj": "4"},
    "target_modules": {"q_proj": 1},
    "use_rslora": "yes",
    "init_lora_weights": ["gaussian"],
}
HARMLESS: dict[str, Json] = {
    "eva_config": {"rho": 2.0},
    "exclude_modules": ["layers.0.self_attn.q_proj"],
    "fan_in_fan_out": True,
    "inference_mode": True,
    "init_lora_weights": "eva",
    "layers_to_transform": [0, 2],
    "lora_dropout": 0.1,
    "modules_to_save": [],
    "peft_version": "0.99.0",
    "revision": "main",
    "some_new_field": None,
    "velora_config": {"num_groups": 2},
}


def config(**changes: Json) -> JsonObject:
    return {"peft_type": "LORA", "r": 8, "lora_alpha": 16, **changes}


def test_table_covers_every_peft_field() -> None:
    assert {field.name for field in dataclasses.fields(LoraConfig)} == set(FIELDS)


def test_default_lora_config_is_taken(tmp_path: Path) -> None:
    LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM").save_pretrained(str(tmp_path))
    read_settings(json.loads((tmp_path / "adapter_config.json").read_text()))


@pytest.mark.parametrize("field", REFUSED)
def test_field_refused_by_name(field: str) -> None:
    with pytest.raises(BrokenAdapter, match=f"adapter_config.json, {field}: "):
        read_settings(config(**{field: REFUSED[field]}))


@pytest.mark.parametrize("method", CHANGED_BASE)
def test_changed_base_names_its_remedy(method: str) -> None:
    with pytest.raises(
        BrokenAdapter, match="save it with path_initial_model_for_weight_conversion"
    ):
        read_settings(config(init_lora_weights=method))


@pytest.mark.parametrize("field", MALFORMED)
def test_malformed_value_refused(field: str) -> None:
    with pytest.raises(BrokenAdapter, match=f"adapter_config.json, {field}: "):
        read_settings(config(**{field: MALFORMED[field]}))


@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern"])
def test_broken_pattern_refused(field: str) -> None:
    with pytest.raises(BrokenAdapter, match="not a regular expression"):
        read_settings(config() | {field: {"q_proj(": 3}})


@pytest.mark.parametrize("field", HARMLESS)
def test_harmless_field_is_taken(field: str) -> None:
    assert read_settings(config(**{field: HARMLESS[field]})) == read_settings(config())


@pytest.mark.parametrize("text", ["[]", "null", '"LORA"', "[" * 100_000, "{"])
def test_config_other_than_object_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(BrokenAdapter):
        read_adapter(tmp_path, "a")


@pytest.mark.slow
def test_rank_other_than_said_refused(tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", 1, r=4)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 64}))
    with pytest.raises(BrokenAdapter, match=r"have rank 4, and adapter_config\.json says 64"):
        read_adapter(folder)


PEFT_EQUAL: dict[str, JsonObject] = {
    "no alpha": {"lora_alpha": None},
    "pattern with anchors": {"alpha_pattern": {r"^model\.layers\.0\.self_attn\.q_proj$": 64}},
    "pattern of two names": {"alpha_pattern": {"q_proj|v_proj": 3}},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PEFT_EQUAL)
def test_scaled_as_peft_scales(kind: str, tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", 1, r=4, target_modules=["q_proj", "v_proj"])
    path = folder / "adapter_config.json"
    changed = json.loads(path.read_text()) | PEFT_EQUAL[kind]
    path.write_text(json.dumps({k: v for k, v in changed.items() if k != "lora_alpha" or v}))
    ids = torch.tensor([[1, 3, 400, 500, 600, 4, 800]])
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder)
    with torch.no_grad():
        expected = model(ids).logits
        base = load(ModelSpec("embedded")).model
        for name, pair in read_adapter(folder).modules.items():
            weight = base.get_submodule(name).weight
            weight += pair.up @ pair.down
        assert torch.allclose(base(ids).logits, expected, atol=1e-4)


@pytest.mark.slow
def test_pissa_as_saved_refused(tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", 1, r=4, init_lora_weights="pissa")
    with pytest.raises(BrokenAdapter, match="init_lora_weights: 'pissa' changed the base"):
        read_adapter(shutil.copytree(folder, tmp_path / "b"))
