"""What happens beside the training steps: logs, samples, stopping, the disk, the measured peak.

Knows transformers' callbacks; what is done with a log is the caller's business.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune.data.examples import MASKED, TrainingExample
from finetune.training.checkpoints import keep_within
from playground.models.tokenizer import ChatTokenizer

Log = dict[str, Any]
SAMPLES = 3
LONGEST_SAMPLE = 64


class Reports(TrainerCallback):  # type: ignore[misc]
    """Hands each log to a function, and to ``metrics.jsonl``, without what a resumed run redoes."""

    def __init__(
        self, path: Path, epochs: float, resumed_at: int, report: Callable[[Log], None] | None
    ) -> None:
        self._path = path
        self._epochs = epochs
        self._report = report
        self._began = (time.monotonic(), resumed_at)
        self._tokens: tuple[float, float] | None = None
        if path.exists():
            kept = [line for line in read_log(path) if line["step"] <= resumed_at]
            path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: Log | None = None,
        **_: Any,
    ) -> None:
        """One line a log."""
        values = {"step": state.global_step, "steps": state.max_steps} | (logs or {})
        if "epoch" in values:  # the trainer sees all of them as one
            values["epoch"] *= self._epochs
        began, first = self._began
        if state.global_step > first:
            each = (time.monotonic() - began) / (state.global_step - first)
            values["seconds_left"] = each * (state.max_steps - state.global_step)
        if "num_tokens" in values:
            now = (time.monotonic(), float(values["num_tokens"]))
            if self._tokens:
                before, seen = self._tokens
                values["tokens_per_second"] = (now[1] - seen) / max(1e-9, now[0] - before)
            self._tokens = now
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        if self._report:
            self._report(values)


def read_log(path: Path) -> list[Log]:
    """A metrics file's lines; a last one that a kill cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends a run after the present step, with a checkpoint, once ``event`` is set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Asks the trainer to save and to end."""
        if self._event.is_set():
            control.should_save = True
            control.should_training_stop = True


class DiskBudget(TrainerCallback):  # type: ignore[misc]
    """Keeps checkpoints within bytes on disk."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_: Any,
    ) -> None:
        """Removes the oldest ones; the last and the best stay."""
        keep_within(Path(str(args.output_dir)), self._budget, state.best_model_checkpoint)


class Peak(TrainerCallback):  # type: ignore[misc]
    """The memory's high-water mark after the first step, in bytes: what a plan is checked by."""

    def __init__(self) -> None:
        self.bytes = 0

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: Any,
    ) -> None:
        """Of the device; on a CPU of the whole process."""
        if not self.bytes:
            self.bytes = _peak_bytes()


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Samples(TrainerCallback):  # type: ignore[misc]
    """Greedy answers from the present weights every so many steps, in ``samples.jsonl``.

    Greedy, so that no random number is taken from training.
    """

    def __init__(
        self, path: Path, every: int, examples: Sequence[TrainingExample], tokenizer: ChatTokenizer
    ) -> None:
        self._path = path
        self._every = every
        self._questions = [_question(example) for example in examples[:SAMPLES]]
        self._tokenizer = tokenizer

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        model: Any = None,
        **_: Any,
    ) -> None:
        """One line a question."""
        if state.global_step % self._every:
            return
        was_training = model.training
        model.eval()
        with self._path.open("a", encoding="utf-8") as file:
            for prompt, wanted in self._questions:
                line = {
                    "step": state.global_step,
                    "prompt": self._text(prompt),
                    "answer": self._text(self._answer(model, prompt)),
                    "wanted": self._text(wanted),
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        model.train(was_training)

    @torch.no_grad()
    def _answer(self, model: Any, prompt: Sequence[int]) -> list[int]:
        ids = torch.tensor([prompt], device=model.device)
        ends = sorted(self._tokenizer.end_ids)
        generated = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LONGEST_SAMPLE,
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


def _question(example: TrainingExample) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A example's prompt and the first answer that is learned."""
    first = next(at for at, label in enumerate(example.labels) if label != MASKED)
    rest = example.labels[first:]
    end = next((at for at, label in enumerate(rest) if label == MASKED), len(rest))
    return example.token_ids[: max(1, first)], example.token_ids[first : first + end]
