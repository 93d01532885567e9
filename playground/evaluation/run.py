"""Makes report cards: asks the base and adapters the same questions through a running backend.

Questions are answered greedily and with the grammar of their tools, as a person would get the
answers. Knows no file of rows: whoever calls it brings `EvaluationSet`s.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.errors import InvalidSettings, PlaygroundError
from playground.evaluation.judge import Judge, preference
from playground.evaluation.loss import losses
from playground.evaluation.metrics import Prediction, score
from playground.evaluation.report_card import (
    EvaluationStopped,
    Metric,
    ReportCard,
    RowResult,
    make_report_card,
    summarize,
)
from playground.evaluation.rows import EvaluationRow, EvaluationSet
from playground.evaluation.temporary_names import temporary_name
from playground.models.adapters import CARD_FILE
from playground.models.loaded import LoadedModel
from playground.models.shared_weights import shared_weight_copy
from playground.protocol import (
    AdapterBackend,
    Backend,
    ModelInfo,
    Priority,
    Request,
    Sampling,
    answer,
)
from playground.store.adapters import VERSION
from playground.structured.patterns import matching_problem

MAX_CONCURRENT_REQUESTS = 32
MAX_ANSWER_TOKENS = 256
STOP_POLL_S = 0.1
BASE_LANE = "base"


@dataclass(frozen=True, slots=True)
class Grading:
    """Scores beside the metrics that every row has: a pattern searched in every answer in text, and
    a judge that compares the last two lanes. ``metric`` decides the verdict; without one, the
    metric that fits the rows does. Raises `InvalidSettings` for the metric judge without a judge,
    and for a pattern that does not compile.
    """

    regex: str | None = None
    judge: Judge | None = None
    metric: Metric | None = None

    def __post_init__(self) -> None:
        if self.regex and (problem := matching_problem(self.regex)):
            raise InvalidSettings(f"regex: {self.regex!r} does not compile: {problem}")
        if self.metric == "judge" and self.judge is None:
            raise InvalidSettings(
                "the metric judge needs a judge: say with --judge what makes an answer better"
            )


def evaluate(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    sets: Sequence[EvaluationSet],
    grading: Grading | None = None,
) -> ReportCard:
    """Make a report card on a backend of its own; see `report_card`."""
    with LocalBackend(loaded) as backend:
        return report_card(backend, shared_weight_copy(loaded), adapters, sets, grading)


def report_card(
    host: AdapterBackend,
    loaded: LoadedModel,
    adapters: Sequence[Path],
    sets: Sequence[EvaluationSet],
    grading: Grading | None = None,
    stop_event: threading.Event | None = None,
) -> ReportCard:
    """Make the report card of the last of ``adapters`` against the one before it, or the base.

    Asks ``host``, which goes on serving others; ``loaded`` is the same base as a shared-weight copy
    that nobody else uses. The first of ``sets`` decides, with what the general one lost. Raises
    what `AdapterHost.load_adapter` raises, and `EvaluationStopped` once ``stop_event`` is set.
    """
    stop = stop_event or threading.Event()
    lanes = (BASE_LANE, *_lane_names(adapters))
    set_losses = [_losses_by_lane(loaded, adapters, lanes, each.rows, stop) for each in sets]
    with served(host, lanes, adapters) as models:
        sections = [
            summarize(
                each.name,
                lanes,
                asyncio.run(
                    _until_stopped(
                        ask_all(
                            host,
                            {lane: info.name for lane, info in models.items()},
                            each.rows,
                            grading,
                        ),
                        stop,
                    )
                ),
                lane_losses,
                each.kind,
            )
            for each, lane_losses in zip(sets, set_losses, strict=True)
        ]
    card = make_report_card(
        sections[0],
        next((section for section in sections if section.kind == "general"), None),
        lanes,
        seen_in_training=sets[0].kind == "trained",
        num_trained=sets[0].num_trained,
        metric=grading.metric if grading else None,
    )
    return replace(
        card,
        parts=tuple(sections),
        made_of={
            "base": loaded.spec.source,
            "base_hash": loaded.weights_hash,
            "quantization": loaded.spec.quantization,
            "adapters": {lane: models[lane].provenance.adapter_hash for lane in lanes[1:]},
            "sampling": {"temperature": 0.0, "max_tokens": MAX_ANSWER_TOKENS},
        },
    )


async def _until_stopped(
    asking: Coroutine[object, object, list[RowResult]], stop_event: threading.Event
) -> list[RowResult]:
    task = asyncio.create_task(asking)
    while not task.done():
        await asyncio.wait([task], timeout=STOP_POLL_S)
        if stop_event.is_set() and not task.done():
            task.cancel()
            await asyncio.wait([task])
            raise EvaluationStopped
    return task.result()


@contextmanager
def served(
    host: AdapterBackend, lanes: Sequence[str], adapters: Sequence[Path]
) -> Iterator[Mapping[str, ModelInfo]]:
    """Serve the adapters under names that nobody lists; yields each lane's model, the base's
    first. Raises what `AdapterHost.load_adapter` raises."""
    models = {lanes[0]: asyncio.run(host.models())[0]}
    try:
        for lane, folder in zip(lanes[1:], adapters, strict=True):
            name = temporary_name()
            models[lane] = host.load_adapter(folder, name, listed=False)
        yield models
    finally:
        for lane in lanes[1:]:
            if lane in models:
                host.unload_adapter(models[lane].name)


def _lane_names(adapters: Sequence[Path]) -> list[str]:
    """A name for each adapter: its folder's, or its parent's where that says nothing of it."""
    names: list[str] = []
    for folder in adapters:
        resolved = folder.resolve()
        if VERSION.fullmatch(resolved.name):
            name = f"{resolved.parent.name} {resolved.name}"
        else:
            name = _card_name(resolved) or (
                resolved.parent.name if resolved.name == "adapter" else resolved.name
            )
        names.append(f"{name}-{len(names) + 1}" if name in (*names, BASE_LANE) else name)
    return names


def _card_name(folder: Path) -> str:
    """Return the name that a trained adapter was given; its run's folder has a date as well."""
    try:
        return str(json.loads((folder / CARD_FILE).read_text(encoding="utf-8")).get("name") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _losses_by_lane(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    lanes: Sequence[str],
    rows: Sequence[EvaluationRow],
    stop_event: threading.Event,
) -> dict[str, list[float]]:
    """Mean loss of each row's answer, by lane."""
    from peft import PeftModel  # takes seconds to import

    def until_stopped() -> Iterator[EvaluationRow]:
        for row in rows:
            if stop_event.is_set():
                raise EvaluationStopped
            yield row

    by_lane = {lanes[0]: [loss.mean for loss in losses(loaded.model, until_stopped())]}
    for lane, folder in zip(lanes[1:], adapters, strict=True):
        model = PeftModel.from_pretrained(loaded.model, str(folder))
        try:
            by_lane[lane] = [loss.mean for loss in losses(model, until_stopped())]
        finally:
            model.unload()
    return by_lane


async def ask_all(
    backend: Backend,
    models: Mapping[str, str],
    rows: Sequence[EvaluationRow],
    grading: Grading | None = None,
) -> list[RowResult]:
    """Return every lane's answer to every row, scored; ``models`` maps lanes to model names.

    A judge compares the last lane with the one before it.
    """
    grading = grading or Grading()
    slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def predict(row: EvaluationRow, model: str) -> Prediction:
        request = Request(
            model,
            row.messages,
            tools=row.tools,
            sampling=Sampling(temperature=0.0, max_tokens=MAX_ANSWER_TOKENS),
            priority=Priority.BATCH,
        )
        async with slots:
            try:
                reply = await answer(backend, request)
            except PlaygroundError as error:  # scored as a wrong answer
                return Prediction(f"(error: {error.message})")
            return Prediction(reply.text, reply.calls)

    async def evaluate_row(row: EvaluationRow) -> RowResult:
        wanted = Prediction(row.answer.content, row.answer.tool_calls)
        replies = await asyncio.gather(*(predict(row, model) for model in models.values()))
        predictions = dict(zip(models, replies, strict=True))
        answers = {lane: prediction.shown() for lane, prediction in predictions.items()}
        scores = {
            lane: dict(score(prediction, wanted, tools=bool(row.tools), regex=grading.regex))
            for lane, prediction in predictions.items()
        }
        if grading.judge:
            *_, other, new = models
            async with slots:
                better = await preference(
                    backend, grading.judge, row.question, answers[new], answers[other]
                )
            scores[new]["judge prefers it"] = better
            scores[other]["judge prefers it"] = 1.0 - better
        return RowResult(row.line, row.question, wanted.shown(), answers, scores)

    return list(await asyncio.gather(*map(evaluate_row, rows)))
