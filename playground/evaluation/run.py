"""`evaluate`: the same rows to the base and to adapters through the engine, and a report card.

Stands above engine and modes, as the command does. Questions go greedily, with the grammar of their
tools, as a person would get the answers.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from peft import PeftModel

from finetune.data.examples import TrainingExample, to_examples
from finetune.data.rows import Conversation, read_rows
from playground.backends.chat import answer, structured
from playground.engine import Engine
from playground.errors import InvalidRequest, InvalidSettings, PlaygroundError
from playground.evaluation.judge import Judge, preference
from playground.evaluation.loss import losses
from playground.evaluation.metrics import Given, score
from playground.evaluation.report_card import Answered, ReportCard, judge, part
from playground.models.download import locate
from playground.models.loaded import LoadedModel
from playground.models.shared_weights import shared_weight_copy
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import AdapterHost, Backend, Priority, Request, Sampling
from playground.store.adapters import VERSION

AT_ONCE = 32
LONGEST_ANSWER = 256
REGRESSION_FILE = "regression.jsonl"
UNLISTED = "report-card-"


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows to judge by. ``trained`` says that the adapter has learned these very rows."""

    name: str
    rows: Sequence[Conversation]
    trained: bool = False


class Host(Backend, AdapterHost, Protocol):
    """A backend with adapters."""


def evaluate(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    file: Path,
    regression: Path | None = None,
    regex: str | None = None,
    max_length: int = 2048,
    judged_by: Judge | None = None,
) -> ReportCard:
    """The report card of the last of ``adapters`` against the one before it, or the base.

    ``regression`` defaults to the general rows shipped beside the base, if there are any. Raises
    `InvalidSettings` if the file has no row with an answer, and what `read_adapter` raises.
    """
    rows = read_rows(file).conversations
    asked = [Asked("Held-out rows", fitting(rows, loaded, max_length, str(file)))]
    own = regression or locate(loaded.spec) / REGRESSION_FILE
    if own.is_file():
        general = read_rows(own).conversations
        asked.append(Asked("General rows", fitting(general, loaded, max_length, str(own))))
    with Engine(loaded) as engine:
        card = report_card(engine, shared_weight_copy(loaded), adapters, asked, regex, judged_by)
    return replace(card, made_of={**card.made_of, "data": file.name})


def report_card(
    host: Host,
    loaded: LoadedModel,
    adapters: Sequence[Path],
    asked: Sequence[Asked],
    regex: str | None = None,
    judged_by: Judge | None = None,
) -> ReportCard:
    """The card by asking ``host``, which goes on serving others; ``loaded`` is the same base, in a
    tree that nobody else uses. The first of ``asked`` decides, the second is the regression set.

    Raises what `AdapterHost.load_adapter` raises.
    """
    names = _names(adapters)
    lanes = ("base", *names)
    lost = [_losses(loaded, adapters, lanes, each.rows) for each in asked]
    base = host.models()[0].name
    served = {"base": base}
    provenance = []
    try:
        for name, folder in zip(names, adapters, strict=True):
            info = host.load_adapter(folder, f"{UNLISTED}{uuid.uuid4().hex[:12]}", listed=False)
            served[name] = info.name
            provenance.append(info.provenance.adapter_hash)
        parts = [
            part(
                each.name,
                lanes,
                asyncio.run(ask_all(host, served, each.rows, regex, judged_by)),
                losses,
            )
            for each, losses in zip(asked, lost, strict=True)
        ]
    finally:
        for name in served.values():
            if name != base:
                host.unload_adapter(name)
    card = judge(parts[0], parts[1] if len(parts) > 1 else None, lanes, trained=asked[0].trained)
    return replace(
        card,
        made_of={
            "base": loaded.spec.source,
            "base_hash": loaded.weights_hash,
            "quantization": loaded.spec.quantization,
            "adapters": dict(zip(names, provenance, strict=True)),
            "sampling": {"temperature": 0.0, "max_tokens": LONGEST_ANSWER},
        },
    )


def _names(adapters: Sequence[Path]) -> list[str]:
    """A name for each adapter: its folder's, or its run's where that says only "adapter"."""
    names: list[str] = []
    for folder in adapters:
        resolved = folder.resolve()
        inside = resolved.name == "adapter" or VERSION.fullmatch(resolved.name)
        name = f"{resolved.parent.name}" if inside else resolved.name
        names.append(f"{name}-{len(names) + 1}" if name in (*names, "base") else name)
    return names


def fitting(
    rows: Sequence[Conversation], loaded: LoadedModel, max_length: int, where: str = "these rows"
) -> list[Conversation]:
    """Rows that have an answer and fit; the others are not judged.

    Raises `InvalidSettings` if there is none.
    """
    found = [row for row in rows if _fits(row, loaded.tokenizer, max_length)]
    if not found:
        raise InvalidSettings(f"{where} has no row with an answer; `finetune check` says why")
    return found


def _fits(row: Conversation, tokenizer: ChatTokenizer, max_length: int) -> bool:
    try:
        examples = to_examples(row, tokenizer)
    except InvalidRequest:
        return False
    return all(len(example.token_ids) <= max_length for example in examples)


def _losses(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    lanes: Sequence[str],
    rows: Sequence[Conversation],
) -> dict[str, list[float]]:
    """Mean loss of each row's last answer, by lane."""
    examples = [_last_view(row, loaded.tokenizer) for row in rows]
    found = {lanes[0]: _means(loaded.model, examples)}
    for lane, folder in zip(lanes[1:], adapters, strict=True):
        model = PeftModel.from_pretrained(loaded.model, str(folder))
        found[lane] = _means(model, examples)
        model.unload()
    return found


def _means(model: Any, examples: Sequence[TrainingExample]) -> list[float]:
    return [total / count for total, count in losses(model, examples)]


def _last_view(row: Conversation, tokenizer: ChatTokenizer) -> TrainingExample:
    return to_examples(_until_last_answer(row), tokenizer)[-1]


def _until_last_answer(row: Conversation) -> Conversation:
    last = max(at for at, each in enumerate(row.messages) if each.role == "assistant")
    return replace(row, messages=row.messages[: last + 1])


async def ask_all(
    backend: Backend,
    served: dict[str, str],
    rows: Sequence[Conversation],
    regex: str | None = None,
    judged_by: Judge | None = None,
) -> list[Answered]:
    """Every row's last answer from every lane; ``served`` maps lanes to names of models. A judge
    compares the last lane with the one before it."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(row: Conversation, model: str) -> Given:
        info = next((each for each in backend.models() if each.name == model), None)
        request = Request(
            model,
            row.messages[:-1],
            tools=row.tools,
            sampling=Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER),
            priority=Priority.BATCH,
        )
        async with places:
            try:
                got = await answer(backend, structured(request, info=info))
            except PlaygroundError as error:  # an answer that is none is a wrong one
                return Given(f"(error: {error.message})")
            return Given(got.text, got.calls)

    async def judge_row(row: Conversation) -> Answered:
        row = _until_last_answer(row)
        wanted = Given(row.messages[-1].content, row.messages[-1].tool_calls)
        got = await asyncio.gather(*(ask(row, model) for model in served.values()))
        given = dict(zip(served, got, strict=True))
        question = next((m.content for m in reversed(row.messages) if m.role == "user"), "")
        answers = {lane: _shown(each) for lane, each in given.items()}
        scores = {
            lane: dict(score(each, wanted, tools=bool(row.tools), regex=regex))
            for lane, each in given.items()
        }
        if judged_by:
            *_, other, new = served
            async with places:
                better = await preference(
                    backend, judged_by, question, answers[new], answers[other]
                )
            scores[new]["judge prefers it"] = better
            scores[other]["judge prefers it"] = 1.0 - better
        return Answered(row.line, question, _shown(wanted), answers, scores)

    return list(await asyncio.gather(*map(judge_row, rows)))


def _shown(given: Given) -> str:
    if not given.calls:
        return given.text
    calls = [{"name": c.name, "arguments": json.loads(c.arguments)} for c in given.calls]
    return json.dumps(calls, ensure_ascii=False)
