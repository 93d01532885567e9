"""The adapter store: every version is kept, one is promoted, none is half there."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from finetune.formats.mistral_finetune import convert
from playground.errors import BrokenAdapter, Conflict, UnknownAdapter
from playground.models.adapters import WEIGHTS_FILE, read_adapter
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.store import adapters, json_files
from playground.store.adapters import AdapterStore
from playground.store.report_card_files import REPORT_CARD_FILES

Make = Callable[[str, int], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Random adapters of the embedded model, as PEFT writes them."""

    def write(name: str, seed: int) -> Path:
        torch.manual_seed(seed)
        config = LoraConfig(
            r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
        )
        model = get_peft_model(load(ModelSpec("embedded")).model, config)
        model.save_pretrained(str(tmp_path / name))
        return tmp_path / name

    return write


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "adapters")


@pytest.mark.slow
def test_publish_counts_versions_with_cards(store: AdapterStore, make: Make) -> None:
    one, two = (store.publish(make(f"a{seed}", seed), "prices") for seed in (1, 2))
    assert (one.version, two.version) == ("v1", "v2")
    assert one.content_hash != two.content_hash
    assert two.card["content_hash"] == read_adapter(two.folder).content_hash
    assert [each.version for each in store.versions("prices")] == ["v1", "v2"]
    assert store.promoted() == []


@pytest.mark.slow
def test_promote_roll_back_retire(store: AdapterStore, make: Make) -> None:
    for seed in (1, 2, 3):
        store.publish(make(f"a{seed}", seed), "prices")
    for version in ("v1", "v3", "v2"):
        assert store.promote("prices", version).promoted
    assert [v.version for v in store.promoted()] == ["v2"]
    assert store.roll_back("prices").version == "v3"
    assert store.roll_back("prices").version == "v1"
    with pytest.raises(Conflict, match="no version that was promoted before"):
        store.roll_back("prices")
    store.retire("prices")
    assert store.promoted() == []
    assert store.find("prices").version == "v3"
    again = AdapterStore(store.folder)
    assert again.roll_back("prices").version == "v1"


@pytest.mark.slow
def test_delete_refused_while_promoted(store: AdapterStore, make: Make) -> None:
    for seed in (1, 2):
        store.publish(make(f"a{seed}", seed), "prices")
    store.promote("prices", "v2")
    with pytest.raises(Conflict, match="promoted"):
        store.delete("prices", "v2")
    store.delete("prices", "v1")
    store.retire("prices")
    store.delete("prices", "v2")
    assert store.names() == []
    with pytest.raises(UnknownAdapter, match="known: none"):
        store.find("prices")


@pytest.mark.slow
def test_publish_reuses_no_deleted_number(store: AdapterStore, make: Make) -> None:
    folder = make("a", 1)
    for _ in range(3):
        store.publish(folder, "prices")
    store.delete("prices", "v2")
    assert store.publish(folder, "prices").version == "v4"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 65])
def test_name_cannot_leave_store(store: AdapterStore, make: Make, name: str) -> None:
    with pytest.raises(BrokenAdapter):
        store.publish(make("a", 1), name or "")
    with pytest.raises(UnknownAdapter):
        store.find(name)


@pytest.mark.slow
def test_publish_broken_adapter_keeps_nothing(
    store: AdapterStore, make: Make, tmp_path: Path
) -> None:
    folder = make("a", 1)
    (folder / WEIGHTS_FILE).write_bytes(b"cut off")
    with pytest.raises(BrokenAdapter):
        store.publish(folder, "prices")
    (folder / WEIGHTS_FILE).rename(folder / "adapter_model.bin")
    with pytest.raises(BrokenAdapter, match="pickled"):
        store.publish(folder, "prices")
    assert store.names() == []


@pytest.mark.slow
def test_version_loads_in_peft(store: AdapterStore, make: Make) -> None:
    version = store.publish(make("a", 1), "prices")
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, version.folder)
    weights = load_file(version.folder / WEIGHTS_FILE)
    read = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default")
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    assert torch.equal(read.weight, weights[key])


@pytest.mark.slow
def test_mistral_finetune_conversion_equals_peft(make: Make, tmp_path: Path) -> None:
    """Its own order of rotary pairs is made here by the inverse of the conversion."""
    ours = make("a", 1)
    config = load(ModelSpec("embedded")).model.config
    names = {
        "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv",
        "self_attn.o_proj": "attention.wo",
        "mlp.gate_proj": "feed_forward.w1",
        "mlp.down_proj": "feed_forward.w2",
        "mlp.up_proj": "feed_forward.w3",
    }
    theirs = {}
    for key, tensor in load_file(ours / WEIGHTS_FILE).items():
        path = key.removeprefix("base_model.model.model.")
        for own, name in names.items():
            path = path.replace(own, name)
        if path.endswith("lora_B.weight") and (".wq." in path or ".wk." in path):
            heads = config.num_attention_heads if ".wq." in path else config.num_key_value_heads
            out, rank = tensor.shape
            halves = tensor.view(heads, 2, out // heads // 2, rank)
            tensor = halves.transpose(1, 2).reshape(out, rank)
        theirs[path] = tensor.contiguous()
    source = tmp_path / "theirs"
    source.mkdir()
    save_file(theirs, source / "lora.safetensors")
    alpha = json.loads((ours / "adapter_config.json").read_text())["lora_alpha"]
    lora = {"rank": 4, "scaling": alpha / 4}
    (source / "params.json").write_text(json.dumps({"dim": 1, "lora": lora}))
    convert(source, tmp_path / "converted", config)
    wanted, got = read_adapter(ours), read_adapter(tmp_path / "converted")
    assert set(wanted.modules) == set(got.modules)
    for path, pair in wanted.modules.items():
        assert torch.equal(pair.down, got.modules[path].down)
        assert torch.equal(pair.up, got.modules[path].up)
    (source / "params.json").write_text("{}")
    with pytest.raises(BrokenAdapter, match="mistral-finetune"):
        convert(source, tmp_path / "again", config)


@pytest.mark.slow
def test_publish_continues_after_other_process(
    store: AdapterStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process publishes the same number between the count and the rename."""
    source, other = make("a", 1), AdapterStore(store.folder)
    taken: list[str] = []
    real = json_files.write_json_object

    def publish_meanwhile(path: Path, value: Mapping[str, object]) -> None:
        real(path, value)
        if not taken:
            taken.append("")
            taken[0] = other.publish(source, "prices").version

    monkeypatch.setattr(adapters, "write_json_object", publish_meanwhile)
    assert store.publish(source, "prices").version == "v2"
    assert taken == ["v1"]
    assert [each.name for each in (store.folder / "prices").iterdir() if each.name[0] == "."] == []


@pytest.mark.slow
def test_version_carries_verdict(store: AdapterStore, make: Make) -> None:
    source = make("a", 1)
    (source / REPORT_CARD_FILES["json"]).write_text('{"verdict": "promote"}')
    assert store.publish(source, "prices").verdict == "promote"
    assert store.publish(make("b", 2), "prices").verdict == ""
