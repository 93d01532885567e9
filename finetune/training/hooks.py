"""How a caller follows and steers a training run, and what it gets back.

Apart from `finetune.training.train`, which imports the training libraries for seconds.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Log = dict[str, Any]
"""A line of ``metrics.jsonl``; which fields it has, transformers and TRL decide."""


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """How a caller follows and steers a run.

    ``on_log`` receives each log. Once ``stop_event`` is set the run ends after its current step,
    with a checkpoint. ``throttle`` is called with ``stop_event`` before each layer, forward and
    backward, and returns when training may go on, so that a decode step never waits longer than for
    one layer. ``on_wait`` is told whose training a run waits for before it begins; without it a run
    that would have to wait fails.
    """

    on_log: Callable[[Log], None] | None = None
    stop_event: threading.Event = field(default_factory=threading.Event)
    throttle: Callable[[threading.Event], None] | None = None
    on_wait: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """How far a run came. ``folder`` is the adapter's, None if the run was stopped before its end;
    ``loss`` is the mean over the run, ``seconds`` this process's part of it."""

    folder: Path | None
    steps: int
    loss: float
    seconds: float
    resumed_at: int = 0
