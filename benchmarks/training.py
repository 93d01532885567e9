"""Training speed and memory: our recipe beside plain TRL with its defaults, on the same rows.

    python -m benchmarks.training [--rows FILE] [--steps 20] [--rounds 3]

Each side runs in a process of its own, in turn, on the embedded model with the same LoRA, the same
number of rows a step and the same number of steps; what differs is how rows become batches. Prints
supervised tokens a second (after the first two steps) and the peak of the process's memory.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS_A_STEP = 16
WARM_STEPS = 2


def mixed_rows(path: Path, count: int = 600) -> None:
    """Conversations of very different lengths, as real files have them."""
    rng = random.Random(0)
    words = ("the", "small", "brown", "fox", "goes", "to", "market", "and", "buys", "red")
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            length = min(350, max(3, round(rng.lognormvariate(3.2, 1.1))))
            text = " ".join(rng.choice(words) for _ in range(length))
            row = {
                "messages": [
                    {"role": "user", "content": f"Say: {text[:40]}"},
                    {"role": "assistant", "content": text},
                ]
            }
            file.write(json.dumps(row) + "\n")


def one_side(side: str, rows: Path, steps: int) -> dict[str, float]:
    import resource

    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from finetune.data.dataset import prepare
    from finetune.data.examples import TrainingExample
    from finetune.recipe import make
    from finetune.training.schedule import schedule_epochs
    from finetune.training.train import all_cores
    from finetune.training.trainer import build_trainer, padding_tokenizer
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    loaded = load(ModelSpec("embedded"))
    recipe = make(
        {
            "lora_alpha": 16,
            "micro_batch_size": ROWS_A_STEP,
            "gradient_accumulation_steps": 1,
            "max_length": 512,
            "packing": False,
            "gradient_checkpointing": False,
            "max_steps": steps,
        }
    )
    with tempfile.TemporaryDirectory() as home:
        data = prepare([rows], loaded.tokenizer, Path(home)).select(recipe)
    examples = [example for example in data.train if isinstance(example, TrainingExample)]
    order = schedule_epochs(recipe, examples, [], lambda example: len(example.token_ids))[
        : steps * ROWS_A_STEP
    ]

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, all_cores():
        if side == "ours":
            trainer = build_trainer(recipe, loaded, order, [], Path(folder))
            used = [example for packed in order for example in packed]
        else:
            used = examples[: steps * ROWS_A_STEP]
            trainer = SFTTrainer(
                model=loaded.model,
                args=SFTConfig(
                    output_dir=folder,
                    max_steps=steps,
                    per_device_train_batch_size=ROWS_A_STEP,
                    use_cpu=True,
                    bf16=False,
                    report_to=[],
                    disable_tqdm=True,
                ),
                train_dataset=Dataset.from_dict(
                    {
                        "input_ids": [list(example.token_ids) for example in used],
                        "labels": [list(example.labels) for example in used],
                    }
                ),
                processing_class=padding_tokenizer(loaded),
                peft_config=LoraConfig(
                    r=16, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
                ),
            )
        trainer.add_callback(clock)
        torch.manual_seed(0)
        trainer.train()
    trained = sum(example.num_trained_tokens for example in used) * (steps - WARM_STEPS) / steps
    seconds = clock.ends[-1] - clock.ends[WARM_STEPS - 1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"tokens_per_second": trained / seconds, "peak_mib": peak}


def main() -> None:
    """Rounds in turn; medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("ours", "trl"))
    given = parser.parse_args()
    if given.side:
        print(json.dumps(one_side(given.side, given.rows, given.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = given.rows or Path(folder) / "rows.jsonl"
        if not given.rows:
            mixed_rows(rows)
        found: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
        for _ in range(given.rounds):
            for side, results in found.items():
                command = [sys.executable, "-m", "benchmarks.training", "--side", side]
                command += ["--rows", str(rows), "--steps", str(given.steps)]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                results.append(json.loads(output.splitlines()[-1]))
    medians = {
        side: {key: statistics.median(each[key] for each in results) for key in results[0]}
        for side, results in found.items()
    }
    for side, values in medians.items():
        print(f"{side:5} {values['tokens_per_second']:8.0f} supervised tokens/s", end="")
        print(f"  peak {values['peak_mib']:6.0f} MiB")
    ratio = medians["ours"]["tokens_per_second"] / medians["trl"]["tokens_per_second"]
    print(f"ours ÷ TRL's defaults: {ratio:.2f}")


if __name__ == "__main__":
    main()
