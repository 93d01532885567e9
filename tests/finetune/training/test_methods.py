"""Every way of training that a recipe names trains, on a CPU, and gives an adapter that loads."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from finetune.data.dataset import TrainingData
from finetune.data.examples import TrainingExample, to_examples
from finetune.data.rows import Conversation, read_rows
from finetune.recipe import Recipe, embedded_cpu
from finetune.training.callbacks import read_log
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.errors import InvalidSettings
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message

QUICK = replace(
    embedded_cpu(),
    num_train_epochs=4.0,
    micro_batch_size=2,
    replay_fraction=0.0,
    learning_rate=1e-3,
)
GLAIVE = Path(__file__).parents[2] / "data/glaive/glaive_toolcall_en_demo.json"
METHODS: dict[str, dict[str, object]] = {
    "rsLoRA, linear, NEFTune": {
        "use_rslora": True,
        "lr_scheduler_type": "linear",
        "neftune_noise_alpha": 5.0,
    },
    "some modules, dropout, LoRA+": {
        "target_modules": "q_proj, v_proj",
        "lora_dropout": 0.1,
        "loraplus_lr_ratio": 8.0,
    },
    "packing, decayed": {
        "packing": True,
        "micro_batch_size": 1,
        "max_length": 48,
        "lr_scheduler_type": "constant_with_warmup",
        "weight_decay": 0.1,
    },
    "checkpointing, accumulation": {
        "gradient_checkpointing": True,
        "gradient_accumulation_steps": 2,
    },
    "int8": {"quantization": "int8"},
    "NF4": {
        "quantization": "nf4",
        "gradient_checkpointing": True,
        "packing": True,
        "micro_batch_size": 1,
        "max_length": 48,
    },
}


def rows_of(loaded: LoadedModel) -> list[TrainingExample]:
    talks = [
        Conversation(
            (Message("user", f"What is a {word}?"), Message("assistant", f"A {word} is blue.")),
            (),
            at,
        )
        for at, word in enumerate(("zolpar", "kentig", "murdel", "wuxo"))
    ]
    return [example for talk in talks for example in to_examples(talk, loaded.tokenizer)]


def base_of(recipe: Recipe) -> LoadedModel:
    return load(ModelSpec("embedded", quantization=recipe.quantization))


@pytest.mark.training
@pytest.mark.parametrize("method", METHODS)
def test_option_trains_every_matrix(method: str, tmp_path: Path) -> None:
    recipe = replace(QUICK, **METHODS[method])  # type: ignore[arg-type]
    loaded = base_of(recipe)
    done = train(recipe, loaded, TrainingData.of(rows_of(loaded)), tmp_path / "run", "words")
    losses = [line["loss"] for line in read_log(tmp_path / "run/metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0]
    assert done.folder
    model = PeftModel.from_pretrained(loaded.model, done.folder)
    ups = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert all(bool(p.abs().sum() > 0) for p in ups)  # none was left without a gradient
    model.unload()
    with LocalBackend(loaded) as host:
        assert host.load_adapter(done.folder, "words").adapter == "words"


def test_unknown_target_module_refused(tmp_path: Path) -> None:
    recipe = replace(QUICK, target_modules="q_proj, query")
    loaded = base_of(recipe)
    with pytest.raises(InvalidSettings, match="no linear module query; it has down_proj"):
        train(recipe, loaded, TrainingData.of(rows_of(loaded)), tmp_path / "run", "words")
    assert not (tmp_path / "run").exists()


@pytest.mark.training
def test_tensorboard_gets_loss_curve(tmp_path: Path) -> None:
    loaded = base_of(QUICK)
    recipe = replace(QUICK, report_to="tensorboard", max_steps=3)
    train(recipe, loaded, TrainingData.of(rows_of(loaded)), tmp_path / "run", "words")
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    assert len(events.Scalars("train/loss")) == 3


@pytest.mark.training
@pytest.mark.slow
def test_loss_falls_on_tool_conversations(tmp_path: Path) -> None:
    loaded = base_of(QUICK)
    talks = read_rows(GLAIVE).conversations[:24]
    examples = [example for talk in talks for example in to_examples(talk, loaded.tokenizer)]
    short = [example for example in examples if len(example.token_ids) <= 180]
    recipe = replace(QUICK, num_train_epochs=3.0)
    train(recipe, loaded, TrainingData.of(short), tmp_path / "run", "words")
    losses = [line["loss"] for line in read_log(tmp_path / "run/metrics.jsonl") if "loss" in line]
    quarter = len(losses) // 4
    assert quarter >= 3
    first, last = torch.tensor(losses[:quarter]).mean(), torch.tensor(losses[-quarter:]).mean()
    assert last < 0.9 * first
