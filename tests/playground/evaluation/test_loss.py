"""One loss: ours, TRL's and a sum by hand agree on rows with tools."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.data.dataset import prepare
from finetune.data.examples import TrainingExample
from finetune.recipe import embedded_cpu
from finetune.training.trainer import build_trainer
from playground.evaluation.loss import IGNORE_INDEX, losses
from playground.models.loader import load
from playground.models.spec import ModelSpec

GLAIVE = Path(__file__).parents[2] / "data" / "glaive" / "glaive_toolcall_en_demo.json"
ROWS = 120


@pytest.mark.slow
def test_loss_equals_trl_and_sum_by_hand(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    recipe = replace(embedded_cpu(), max_length=512)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(json.loads(GLAIVE.read_text())[:ROWS]))
    data = prepare([rows], loaded.tokenizer, tmp_path).select(recipe)
    read = [example for example in data.train if isinstance(example, TrainingExample)]
    with_calls = [example for example in read if loaded.tokenizer.calls_id in example.labels]
    examples = [*with_calls[:20], *read[:20]]
    assert len(examples) == 40
    ours = losses(loaded.model, examples)
    by_hand, tokens = 0.0, 0
    with torch.no_grad():
        for example in examples:
            logits_TV = loaded.model(torch.tensor([example.token_ids])).logits[0].double()  # noqa: N806
            for at, label in enumerate(example.labels[1:]):
                if label != IGNORE_INDEX:
                    by_hand += float(logits_TV[at].logsumexp(0) - logits_TV[at, label])
                    tokens += 1
    trainer = build_trainer(
        embedded_cpu(), loaded, [[example] for example in examples], examples, tmp_path
    )
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
    mean = sum(total for total, _ in ours) / tokens
    assert mean == pytest.approx(by_hand / tokens, abs=1e-6)
    assert theirs / tokens == pytest.approx(by_hand / tokens, abs=1e-6)
    assert math.isfinite(theirs)
