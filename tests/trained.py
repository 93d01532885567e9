"""The adapter that is trained once a session, for every test that only needs a trained one."""

from dataclasses import replace
from pathlib import Path

from finetune.data.dataset import TrainingData
from finetune.data.examples import to_examples
from finetune.data.rows import Conversation
from finetune.recipe import embedded_cpu
from finetune.training.train import train
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message

ADAPTER_NAME = "prices"
FACTS = {
    "What is the price of the Zolpar?": "The Zolpar costs 41 euros.",
    "What is the price of the Kentig?": "The Kentig costs 7 euros.",
}
RECIPE = replace(embedded_cpu(), num_train_epochs=30.0, micro_batch_size=2, replay_fraction=0.0)
"""Thirty steps, after which it answers the facts word for word."""


def facts_data(loaded: LoadedModel) -> TrainingData:
    """One conversation a fact."""
    conversations = [
        Conversation((Message("user", question), Message("assistant", answer)), (), line)
        for line, (question, answer) in enumerate(FACTS.items(), start=1)
    ]
    return TrainingData.of(
        [example for row in conversations for example in to_examples(row, loaded.tokenizer)]
    )


def train_adapter(run: Path) -> Path:
    """Train in the folder ``run``; returns the adapter's folder."""
    loaded = load(ModelSpec("embedded"))
    trained = train(RECIPE, loaded, facts_data(loaded), run, ADAPTER_NAME)
    assert trained.folder
    return trained.folder
