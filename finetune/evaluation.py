"""`evaluate`: the same rows to the base and to adapters through the engine, and a report card.

Stands above engine and modes, as the command does. Questions go greedily, with the grammar of their
tools, as a person would get the answers.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peft import PeftModel

from finetune.experts.nll import losses
from finetune.experts.report_card import Answered, Part, ReportCard, judge, part
from finetune.experts.rows import Conversation, read_rows
from finetune.experts.scores import Given, score
from finetune.experts.views import View, views_of
from playground.engine import Engine
from playground.errors import InvalidSettings, PlaygroundError
from playground.models.adapters import read_adapter
from playground.models.download import locate
from playground.models.loaded import LoadedModel
from playground.models.tokenizer import ChatTokenizer
from playground.modes.chat import answer, structured
from playground.protocol import Backend, Request, Sampling

AT_ONCE = 32
LONGEST_ANSWER = 256
REGRESSION_FILE = "regression.jsonl"


def evaluate(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    file: Path,
    regression: Path | None = None,
    regex: str | None = None,
    longest: int = 2048,
) -> ReportCard:
    """The report card of the last of ``adapters`` against the one before it, or the base.

    ``regression`` defaults to the general rows shipped beside the base, if there are any. Raises
    `InvalidSettings` if the file has no row with an answer, and what `read_adapter` raises.
    """
    names = _names(adapters)
    lanes = ("base", *names)
    found = [read_adapter(folder, name) for folder, name in zip(adapters, names, strict=True)]
    own = regression or locate(loaded.spec) / REGRESSION_FILE
    sets = [("Held-out rows", file), *([("General rows", own)] if own.is_file() else [])]
    asked = [(name, _questions(path, loaded, longest)) for name, path in sets]
    lost = [_losses(loaded, adapters, lanes, rows, longest) for _, rows in asked]
    parts: list[Part] = []
    with Engine(loaded) as engine:
        served = {"base": engine.models()[0].name}
        for adapter in found:
            served[adapter.name] = engine.load_adapter(adapter.folder, adapter.name).name
        for (name, rows), each in zip(asked, lost, strict=True):
            answered = asyncio.run(ask_all(engine, served, rows, regex))
            parts.append(part(name, lanes, answered, each))
    card = judge(parts[0], parts[1] if len(parts) > 1 else None, lanes)
    return replace(card, made_of=_made_of(loaded, found, file))


def _names(adapters: Sequence[Path]) -> list[str]:
    """A name for each adapter: its folder's, or its run's where that says only "adapter"."""
    names: list[str] = []
    for folder in adapters:
        resolved = folder.resolve()
        name = resolved.parent.name if resolved.name == "adapter" else resolved.name
        names.append(f"{name}-{len(names) + 1}" if name in (*names, "base") else name)
    return names


def _questions(path: Path, loaded: LoadedModel, longest: int) -> list[Conversation]:
    """Rows of a file that have an answer and fit; the rest of the file is not judged."""
    rows = [
        row
        for row in read_rows(path).conversations
        if not views_of(row, loaded.tokenizer, longest)[1]
    ]
    if not rows:
        raise InvalidSettings(f"{path} has no row with an answer; `finetune check` says why")
    return rows


def _losses(
    loaded: LoadedModel,
    adapters: Sequence[Path],
    lanes: Sequence[str],
    rows: Sequence[Conversation],
    longest: int,
) -> dict[str, list[float]]:
    """Mean loss of each row's last answer, by lane."""
    views = [_last_view(row, loaded.tokenizer, longest) for row in rows]
    found = {lanes[0]: _means(loaded.model, views)}
    for lane, folder in zip(lanes[1:], adapters, strict=True):
        model = PeftModel.from_pretrained(loaded.model, str(folder))
        found[lane] = _means(model, views)
        model.unload()
    return found


def _means(model: Any, views: Sequence[View]) -> list[float]:
    return [total / count for total, count in losses(model, views)]


def _last_view(row: Conversation, tokenizer: ChatTokenizer, longest: int) -> View:
    return views_of(_until_last_answer(row), tokenizer, longest)[0][-1]


def _until_last_answer(row: Conversation) -> Conversation:
    last = max(at for at, each in enumerate(row.messages) if each.role == "assistant")
    return replace(row, messages=row.messages[: last + 1])


async def ask_all(
    backend: Backend,
    served: dict[str, str],
    rows: Sequence[Conversation],
    regex: str | None = None,
) -> list[Answered]:
    """Every row's last answer from every lane; ``served`` maps lanes to names of models."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(row: Conversation, model: str) -> Given:
        info = next((each for each in backend.models() if each.name == model), None)
        request = Request(
            model,
            row.messages[:-1],
            tools=row.tools,
            sampling=Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER),
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
        return Answered(
            row.line,
            next((m.content for m in reversed(row.messages) if m.role == "user"), ""),
            _shown(wanted),
            {lane: _shown(each) for lane, each in given.items()},
            {
                lane: score(each, wanted, tools=bool(row.tools), regex=regex)
                for lane, each in given.items()
            },
        )

    return list(await asyncio.gather(*map(judge_row, rows)))


def _shown(given: Given) -> str:
    if not given.calls:
        return given.text
    calls = [{"name": c.name, "arguments": json.loads(c.arguments)} for c in given.calls]
    return json.dumps(calls, ensure_ascii=False)


def _made_of(loaded: LoadedModel, adapters: Sequence[Any], file: Path) -> dict[str, Any]:
    return {
        "base": loaded.spec.source,
        "base_hash": loaded.weights_hash,
        "quantization": loaded.spec.quantization,
        "adapters": {each.name: each.content_hash for each in adapters},
        "data": file.name,
        "sampling": {"temperature": 0.0, "max_tokens": LONGEST_ANSWER},
    }
