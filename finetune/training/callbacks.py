"""Callbacks of transformers' trainer: logs, samples, stopping, the disk budget, the memory peak.

What is done with a log is the caller's business.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from finetune.data.examples import MASKED, TrainingExample
from finetune.training.checkpoints import keep_within
from finetune.training.hooks import Log
from finetune.training.processes import Processes
from playground.files import write_atomic
from playground.models.tokenizer import ChatTokenizer

NUM_SAMPLES = 3
MAX_SAMPLE_TOKENS = 64


class MetricsLog(TrainerCallback):  # type: ignore[misc]
    """Passes each log to ``on_log`` and appends it to ``metrics.jsonl``.

    Lines of steps that a resumed run does again are removed first.
    """

    def __init__(
        self, path: Path, epochs: float, resumed_at: int, on_log: Callable[[Log], None] | None
    ) -> None:
        self._path = path
        self._epochs = epochs
        self._on_log = on_log
        self._start_s = time.monotonic()
        self._resumed_at = resumed_at
        self._last_tokens: tuple[float, float] | None = None
        if path.exists():
            kept = [line for line in read_log(path) if line["step"] <= resumed_at]
            write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept))

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: Log | None = None,
        **_: object,
    ) -> None:
        """Add step, time left and speed to a log, and write it."""
        progress = {"step": state.global_step, "steps": state.max_steps}
        values = progress | (logs or {}) | {"time_s": time.time()}
        if "epoch" in values:  # the trainer takes all epochs for one
            values["epoch"] *= self._epochs
        steps_done = state.global_step - self._resumed_at
        if steps_done > 0:
            step_s = (time.monotonic() - self._start_s) / steps_done
            values["seconds_left"] = step_s * (state.max_steps - state.global_step)
        if "num_tokens" in values:
            now_s, tokens = time.monotonic(), float(values["num_tokens"])
            if self._last_tokens:
                before_s, before = self._last_tokens
                values["tokens_per_second"] = (tokens - before) / max(1e-9, now_s - before_s)
            self._last_tokens = now_s, tokens
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        if self._on_log:
            self._on_log(values)


def read_log(path: Path) -> list[Log]:
    """Return a metrics file's lines; a last one that a kill cut off is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


class StopOnEvent(TrainerCallback):  # type: ignore[misc]
    """Ends a run after the current step, with a checkpoint, once ``event`` is set in a process."""

    def __init__(self, event: threading.Event, processes: Processes) -> None:
        self._event = event
        self._processes = processes

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Tell the trainer to save and to end, in all processes at the same step."""
        if self._processes.any(self._event.is_set()):
            self._event.set()
            control.should_save = True
            control.should_training_stop = True


class SeedOfProcess(TrainerCallback):  # type: ignore[misc]
    """Gives each of several processes random numbers of its own, for dropout and noise.

    A checkpoint has those of as many processes as wrote it, and the trainer restores them after
    this; with another number of processes they begin anew.
    """

    def __init__(self, seed: int, resumed_at: int) -> None:
        self._seed = seed
        self._resumed_at = resumed_at

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """Seed Python's, numpy's and torch's generators."""
        place = self._resumed_at * args.world_size + args.process_index
        set_seed((self._seed + place) % 2**32)


class DiskBudget(TrainerCallback):  # type: ignore[misc]
    """Keeps checkpoints within ``budget`` bytes on disk."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """Remove the oldest checkpoints; the last and the best stay."""
        keep_within(Path(str(args.output_dir)), self._budget, state.best_model_checkpoint)


class PeakMemory(TrainerCallback):  # type: ignore[misc]
    """Measures the peak memory after the first step, in bytes, to compare with the plan."""

    def __init__(self) -> None:
        self.bytes = 0

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """Read the GPU's peak, or on a CPU the whole process's."""
        if not self.bytes:
            self.bytes = _peak_bytes()


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class SampleAnswers(TrainerCallback):  # type: ignore[misc]
    """Writes answers of the current weights to ``samples.jsonl`` every so many steps.

    Decoding is greedy, so that no random number is taken from training.
    """

    def __init__(
        self, path: Path, steps: int, examples: Sequence[TrainingExample], tokenizer: ChatTokenizer
    ) -> None:
        self._path = path
        self._steps = steps
        self._prompts = [_prompt_and_answer(example) for example in examples[:NUM_SAMPLES]]
        self._tokenizer = tokenizer

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        model: PreTrainedModel | None = None,
        **_: object,
    ) -> None:
        """Write a line for each prompt."""
        if model is None or state.global_step % self._steps:
            return
        was_training = model.training
        model.eval()
        with self._path.open("a", encoding="utf-8") as file:
            for prompt, wanted in self._prompts:
                line = {
                    "step": state.global_step,
                    "prompt": self._text(prompt),
                    "answer": self._text(self._answer(model, prompt)),
                    "wanted": self._text(wanted),
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        model.train(was_training)

    @torch.no_grad()
    def _answer(self, model: PreTrainedModel, prompt: Sequence[int]) -> list[int]:
        ids = torch.tensor([prompt], device=model.device)
        ends = sorted(self._tokenizer.end_ids)
        generated = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=MAX_SAMPLE_TOKENS,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        return [int(token) for token in generated[0, len(prompt) :]]

    def _text(self, ids: Sequence[int]) -> str:
        names = self._tokenizer.control_tokens
        ends = self._tokenizer.end_ids
        pieces = [
            names[token].encode() if token in names else self._tokenizer.token_bytes(token)
            for token in ids
            if token not in ends
        ]
        return b"".join(pieces).decode("utf-8", "replace")


def _prompt_and_answer(example: TrainingExample) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split an example into its first prompt and the answer that is trained on."""
    first = next(place for place, label in enumerate(example.labels) if label != MASKED)
    rest = example.labels[first:]
    end = next((place for place, label in enumerate(rest) if label == MASKED), len(rest))
    return example.token_ids[: max(1, first)], example.token_ids[first : first + end]
