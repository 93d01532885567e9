"""Public tasks before and after a training: figures of the base beside the adapter's, row by row.

Data and sentences; knows no task, no lm-eval and no format.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from playground.evaluation.metrics import Estimate

SIGNIFICANT = 0.05
Z_95 = 1.96
Change = Literal["worse", "better", "same", "not tested"]


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One figure of a task, before and after. Standard errors are None where a figure has none.

    ``difference`` is after minus before with its 95% interval on the same rows, ``p_value`` that of
    the paired test; both None where rows have no figure of their own.
    """

    task: str
    metric: str
    rows: int
    num_fewshot: int
    before: float
    after: float
    before_stderr: float | None
    after_stderr: float | None
    higher_is_better: bool = True
    difference: Estimate | None = None
    p_value: float | None = None

    @property
    def change(self) -> Change:
        """Worse or better only where chance alone would seldom do it: by the paired test, or else
        if the difference is twice its standard error, as if the rows had not been the same. Without
        either it is not tested."""
        moved = self.after - self.before
        if self.p_value is not None:
            clear = self.p_value < SIGNIFICANT
        elif self.before_stderr is not None and self.after_stderr is not None:
            clear = abs(moved) > Z_95 * math.hypot(self.before_stderr, self.after_stderr)
        else:
            return "same" if moved == 0 else "not tested"
        if not clear or moved == 0:
            return "same"
        return "better" if (moved > 0) == self.higher_is_better else "worse"

    @property
    def sentence(self) -> str:
        """What happened, in words."""
        figures = (
            f"{shown(self.before, self.before_stderr)} before, "
            f"{shown(self.after, self.after_stderr)} after"
        )
        name = f"{self.task} ({self.metric})"
        if self.change == "worse":
            return f"{name}: worse than before, some of it was forgotten: {figures}"
        if self.change == "better":
            return f"{name}: better than before: {figures}"
        if self.before == self.after:
            return f"{name}: the same as before: {figures}"
        if self.change == "not tested":
            return f"{name}: changed, and nothing says whether by chance: {figures}"
        return f"{name}: no clear change: {figures}"


def shown(value: float, stderr: float | None) -> str:
    """Return a figure with its standard error."""
    return f"{value:.4g}" if stderr is None else f"{value:.4g} ± {stderr:.2g}"


def what_was_forgotten(changes: Sequence[TaskChange]) -> str:
    """Return the whole in a sentence; empty without tasks."""
    if not changes:
        return ""
    tasks = dict.fromkeys(change.task for change in changes)
    worse = dict.fromkeys(change.task for change in changes if change.change == "worse")
    if not worse:
        return f"public tasks: none of {len(tasks)} got clearly worse"
    return f"public tasks: {len(worse)} of {len(tasks)} got worse: {', '.join(worse)}"
