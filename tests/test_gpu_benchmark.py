"""The command `benchmarks.gpu` on a CPU: every row has a figure, or the reason why it has none."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main, planned_rows, run
from benchmarks.gpu.model import Place
from benchmarks.gpu.rows import Sizes

SIZES = Sizes(streams=(1, 2), answer_tokens=4, prompts=(32,), training=(32,))


@pytest.mark.slow
@pytest.mark.training
def test_gpu_benchmark_fills_every_row(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    flags = "--device cpu --shape small --streams 1,2 --answer-tokens 4 --prompts 32 --training 32"
    main([*flags.split(), "--out", str(out)])
    report = json.loads(out.read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert [(row["name"], row["unit"]) for row in report["rows"]] == planned_rows(SIZES)
    assert all((row["value"] is None) == bool(row["reason"]) for row in report["rows"])
    missing = {name for name, row in rows.items() if row["reason"]}
    assert missing == {
        f"{what}, {form}"
        for what in ("kernel agreement", "peak / plan")
        for form in ("nf4", "bf16")
    }
    assert all(rows[f"capture, {form}"]["value"] < 0.05 for form in ("nf4", "bf16"))
    assert rows["QLoRA at 32, nf4"]["value"] > 0


@pytest.mark.slow
def test_gpu_benchmark_says_when_the_time_is_up(tmp_path: Path) -> None:
    results = run("small", SIZES, Place(torch.device("cpu"), tmp_path), budget_s=-1.0)
    assert {result.reason for result in results} == {"the time was up"}
    assert len(results) == len(planned_rows(SIZES))
