"""What lm-eval makes of a model's answers, as plain values: figures of tasks, answers to rows.

Knows lm-eval's result only by its shape.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from playground.evaluation.harness.tasks import Tasks
from playground.protocol.json_types import JsonObject

NO_FILTER: Final = "none"
MEANS: Final = ("mean", "nanmean")
"""lm-eval's aggregations of figures that each row has for itself."""
MAX_SHOWN = 4_000
"""Characters of a row's question or answer that are kept."""


@dataclass(frozen=True, slots=True)
class TaskFigure:
    """One figure of a task or a group, as lm-eval gives it. ``filter`` is how the answer was read
    off the text; ``stderr`` is None where there is none. ``is_named`` are those of a name that was
    asked for, or of the nearest groups and tasks below it that have figures."""

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    higher_is_better: bool
    rows: int
    num_fewshot: int
    version: str
    is_named: bool

    @property
    def name(self) -> str:
        """Task, metric and filter."""
        return score_name(self.task, self.metric, self.filter)

    def as_json(self) -> JsonObject:
        """Return it as a file has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """The answer to one row of a task. ``scores`` are those from 0 to 1, by `score_name`."""

    task: str
    row: int
    question: str
    wanted: str
    answer: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HarnessResult:
    """What one model came to. ``asked`` of its ``requests`` went to the backend; the others were in
    the cache."""

    figures: tuple[TaskFigure, ...]
    answers: tuple[RowAnswer, ...]
    asked: int
    requests: int


def score_name(task: str, metric: str, reading: str) -> str:
    """Return a score's name."""
    return f"{task} {metric}" + ("" if reading == NO_FILTER else f" ({reading})")


def read_results(
    tasks: Tasks, found: Mapping[str, Any], *, asked: int, requests: int
) -> HarnessResult:
    """Read what lm-eval's `evaluate` returned."""
    named = set(_named(tasks, found))
    figures = [
        figure
        for name, values in found["results"].items()
        for figure in _figures(name, values, found, is_named=name in named)
    ]
    answers = [
        answer
        for name, samples in found.get("samples", {}).items()
        for answer in _answers(name, tasks.tasks[name], samples)
    ]
    return HarnessResult(tuple(figures), tuple(answers), asked, requests)


def _named(tasks: Tasks, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that were asked for, in place of a group without figures its members."""

    def below(name: str) -> Iterator[str]:
        values = found["results"].get(name, {})
        if any("," in key for key in values):
            yield name
        else:
            for child in tasks.children.get(name, ()):
                yield from below(child)

    for name in tasks.names:
        yield from below(name)


def _figures(
    name: str, values: Mapping[str, Any], found: Mapping[str, Any], *, is_named: bool
) -> Iterator[TaskFigure]:
    better = found["higher_is_better"].get(name) or {}
    for key, value in values.items():
        metric, comma, reading = key.partition(",")
        number = _number(value)
        if not comma or metric.endswith("_stderr") or number is None:
            continue
        yield TaskFigure(
            task=name,
            metric=metric,
            filter=reading,
            value=number,
            stderr=_number(values.get(f"{metric}_stderr,{reading}")),
            higher_is_better=better.get(metric) is not False,
            rows=int(values.get("sample_len") or _rows(values, key)),
            num_fewshot=int(found["n-shot"].get(name) or 0),
            version=str(found["versions"].get(name, "")),
            is_named=is_named,
        )


def _rows(values: Mapping[str, Any], key: str) -> int:
    counts = values.get("sample_count")
    return int(counts.get(key) or 0) if isinstance(counts, Mapping) else 0


def _answers(name: str, task: Any, samples: Sequence[Mapping[str, Any]]) -> Iterator[RowAnswer]:
    aggregations = task.aggregation()
    better = task.higher_is_better()
    scores: dict[int, dict[str, float]] = {}
    first: dict[int, Mapping[str, Any]] = {}
    for sample in samples:
        row = int(sample["doc_id"])
        first.setdefault(row, sample)
        of_row = scores.setdefault(row, {})
        for metric in sample["metrics"]:
            value = _number(sample.get(metric))
            mean = getattr(aggregations.get(metric), "__name__", "mean") in MEANS
            if mean and better.get(metric) is not False and value is not None and 0 <= value <= 1:
                of_row[score_name(name, metric, str(sample["filter"]))] = value
    for row, sample in sorted(first.items()):
        question, wanted, answer = _texts(task, sample)
        yield RowAnswer(
            name, row, question[:MAX_SHOWN], wanted[:MAX_SHOWN], answer[:MAX_SHOWN], scores[row]
        )


def _texts(task: Any, sample: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a row's question, the wanted answer and the given one."""
    target, responses = sample["target"], sample["resps"]
    wanted = str(target)
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return wanted, "", _likelihood_text(responses[0][0])
    question = str(task.doc_to_text(sample["doc"]))
    if task.OUTPUT_TYPE == "generate_until":
        return question, wanted, str(responses[0][0])
    if task.OUTPUT_TYPE == "loglikelihood":
        return question, wanted, _likelihood_text(responses[0][0][0])
    choices = [str(arguments[1]).strip() for arguments in sample["arguments"]]
    likelihoods = [float(response[0][0]) for response in responses]
    if isinstance(target, int) and 0 <= target < len(choices):
        wanted = choices[target]
    return question, wanted, choices[likelihoods.index(max(likelihoods))]


def _likelihood_text(value: object) -> str:
    return f"log-likelihood {float(str(value)):.4f}"


def _number(value: object) -> float | None:
    """Return a number, NumPy's among them; None for what is none, or not finite."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
