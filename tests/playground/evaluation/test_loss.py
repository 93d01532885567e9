"""One loss: ours, TRL's and a sum by hand agree on rows with tools."""

import math
from pathlib import Path

import pytest
import torch

from finetune.data.dataset import prepare
from finetune.data.examples import MASKED, TrainingExample
from finetune.recipe import embedded_cpu
from finetune.training.trainer import build_trainer
from playground.evaluation.loss import losses, mean_loss
from playground.models.loader import load
from playground.models.spec import ModelSpec

GLAIVE = Path(__file__).parents[2] / "data" / "glaive" / "glaive_toolcall_en_demo.json"


@pytest.mark.slow
def test_three_ways_to_compute_the_loss_agree_to_a_millionth(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    data = prepare([GLAIVE], loaded.tokenizer, tmp_path).select(embedded_cpu())
    all_examples = [example for example in data.train if isinstance(example, TrainingExample)]
    with_calls = [v for v in all_examples if loaded.tokenizer.calls_id in v.labels]
    examples = [*with_calls[:50], *all_examples[:50]]
    ours = losses(loaded.model, examples)
    by_hand, tokens = 0.0, 0
    with torch.no_grad():
        for example in examples:
            logits_TV = loaded.model(torch.tensor([example.token_ids])).logits[0].double()  # noqa: N806
            for at, label in enumerate(example.labels[1:]):
                if label != MASKED:
                    by_hand += float(logits_TV[at].logsumexp(0) - logits_TV[at, label])
                    tokens += 1
    sequences = [[example] for example in examples]
    trainer = build_trainer(embedded_cpu(), loaded, sequences, examples, tmp_path)
    # one batch of each row, weighted by its tokens, as the mean over all tokens is
    theirs = 0.0
    trainer.model.eval()
    for example in examples:
        batch = trainer.data_collator([
            {"input_ids": list(example.token_ids), "labels": list(example.labels)}
        ])  # fmt: skip
        with torch.no_grad():
            theirs += float(trainer.compute_loss(trainer.model, batch)) * example.num_trained_tokens
    assert sum(count for _, count in ours) == tokens
    assert mean_loss(ours) == pytest.approx(by_hand / tokens, abs=1e-6)
    assert theirs / tokens == pytest.approx(by_hand / tokens, abs=1e-6)
    assert math.isfinite(theirs)
