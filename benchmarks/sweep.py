"""A sweep of 4 cells × 50 rows beside the same 200 requests, one by one through `generate`.

    python -m benchmarks.sweep [--rounds 3]

The embedded model, greedy, one thread, both in this process and in turn: the sweep as `playground
sweep` runs it, graded and written to disk, and transformers' `generate` on the same token ids with
the same token limits. Prints the median of each and how many answers are the same.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

import finetune
from playground.backends.local import LocalBackend
from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.prompting import request_for
from playground.lab.sweeps.reading import Sources, read_sweep
from playground.lab.sweeps.result import SweepResult, to_text
from playground.lab.sweeps.run import run_sweep
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol.json_types import Json, parse_object
from playground.runtime import quiet_libraries

ROWS = 50
SAMPLES = Path(finetune.__file__).parent / "samples" / "catalogue-eval.jsonl"


def the_sweep(model: str) -> Sweep:
    """Two prompts × two token limits over 50 rows of the sample dataset."""
    lines = SAMPLES.read_text(encoding="utf-8").splitlines()[:ROWS]
    rows: list[Json] = [parse_object(line) for line in lines]
    return read_sweep(
        {
            "name": "catalogue",
            "prompts": [
                {"name": "plain"},
                {"name": "brief", "system": "You answer questions about products in one sentence."},
            ],
            "models": [model],
            "settings": {"temperature": 0, "max_tokens": [32, 48]},
            "rows": rows,
            "graders": ["exact", {"type": "similarity"}, {"type": "regex", "pattern": "[Tt]he"}],
        },
        Sources(),
    )


def swept(backend: LocalBackend, sweep: Sweep) -> tuple[float, SweepResult]:
    """Seconds and result of a sweep."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = asyncio.run(run_sweep(backend, sweep, Path(folder) / "answers.jsonl"))
        (Path(folder) / "result.json").write_text(to_text(result.as_json()))
        return time.perf_counter() - began, result


def generated(
    loaded: LoadedModel, prompts: list[tuple[list[int], int]]
) -> tuple[float, list[list[int]]]:
    """Seconds and answers of `generate`, one prompt after the other."""
    answers = []
    ends = sorted(loaded.tokenizer.end_ids)
    began = time.perf_counter()
    with torch.inference_mode():
        for ids, limit in prompts:
            output = loaded.model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=limit,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )
            new = [int(token) for token in output[0][len(ids) :]]
            answers.append([token for token in new if token not in ends])
    return time.perf_counter() - began, answers


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    quiet_libraries()
    torch.set_num_threads(1)
    loaded, reference = load(ModelSpec("embedded")), load(ModelSpec("embedded"))
    with LocalBackend(loaded) as backend:
        sweep = the_sweep(backend.default_model.name)
        keys = [(cell, row) for cell in sweep.cells for row in sweep.rows]
        requests = [request_for(cell, row) for cell, row in keys]
        prompts = [
            (asyncio.run(backend.tokenize(each)), each.sampling.max_tokens or 0)
            for each in requests
        ]
        swept(backend, sweep)  # both are warm
        generated(reference, prompts[:5])
        sweeps, generates = [], []
        for _ in range(rounds):
            sweep_s, result = swept(backend, sweep)
            generate_s, answers = generated(reference, prompts)
            sweeps.append(sweep_s)
            generates.append(generate_s)
        texts = [backend.decode(ids).strip() for ids in answers]
    of_sweep = [result.answers[key].text.strip() for key in sorted(result.answers)]
    same = sum(a == b for a, b in zip(of_sweep, texts, strict=True))
    tokens = sum(each.completion_tokens for each in result.answers.values())
    sweep_s, generate_s = statistics.median(sweeps), statistics.median(generates)
    print(
        json.dumps(
            {
                "requests": len(requests), "completion_tokens": tokens,
                "sweep_s": round(sweep_s, 2), "generate_s": round(generate_s, 2),
                "ratio": round(sweep_s / generate_s, 3), "same_answers": same, "rounds": rounds,
            },
            indent=1,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
