"""A sweep: prompts × models × settings over rows, and what the answers are graded by.

Plain values; `playground.lab.sweeps.reading` makes them of what people write. Knows no file and no
backend.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from playground.evaluation.graders import Grader
from playground.protocol import Message, Request, Sampling, Tool, ToolCall
from playground.protocol.json_types import Json, JsonObject
from playground.settings.usage import DEFAULT_PRICE, ModelPrice

MAX_CELLS = 64
MAX_ROWS = 10_000
MAX_REQUESTS = 100_000
DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class SweepPrompt:
    """A prompt, or one version of it: messages whose content is a template.

    Without a user message among them the row's own conversation follows. ``schema`` is the answer's
    JSON schema, ``defaults`` are values of variables that a row does not have.
    """

    name: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, object] | None = None
    defaults: Mapping[str, Json] = field(default_factory=dict)

    @property
    def takes_conversation(self) -> bool:
        """Whether the row's own conversation follows."""
        return not any(message.role == "user" for message in self.messages)


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A row as it was written (``source``), with its place in the file, and what was read of it.

    ``variables`` are its fields; ``messages`` the conversation that it holds, if it does, up to the
    answer that is wanted. ``graders`` are its own beside those of the sweep.
    """

    line: int
    source: JsonObject
    variables: Mapping[str, Json]
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    expected: str | None = None
    expected_calls: tuple[ToolCall, ...] = ()
    graders: tuple[Grader, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One prompt with one model and one choice of settings; ``index`` is its place in the sweep."""

    index: int
    prompt: SweepPrompt
    model: str
    settings: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Everything that a sweep is. ``judge`` is the model that judges where a grader names none;
    ``notes`` say what an import changed. ``tasks`` are those of lm-eval whose rows these are
    (`playground.lab.sweeps.harness`)."""

    name: str
    prompts: tuple[SweepPrompt, ...]
    models: tuple[str, ...]
    settings: tuple[Mapping[str, Json], ...]
    rows: tuple[SweepRow, ...]
    graders: tuple[Grader, ...]
    price: ModelPrice = DEFAULT_PRICE
    judge: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)
    tasks: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, prompts first, then models, then settings."""
        combined = itertools.product(self.prompts, self.models, self.settings)
        return tuple(Cell(index, *parts) for index, parts in enumerate(combined))

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each cell: what is not the same in all of them."""
        several = (len(self.prompts) > 1, len(self.models) > 1 or bool(self.tasks))
        names = list(dict.fromkeys(name for settings in self.settings for name in settings))
        varied = [
            name
            for name in names
            if any(each.get(name) != self.settings[0].get(name) for each in self.settings)
        ]
        labels = []
        for cell in self.cells:
            settings = {name: cell.settings.get(name) for name in varied}
            parts = [cell.prompt.name if several[0] else "", cell.model if several[1] else ""]
            label = " · ".join(filter(None, (*parts, settings_text(settings))))
            labels.append(label or f"{cell.prompt.name} · {cell.model}")
        return tuple(labels)

    @property
    def grader_names(self) -> tuple[str, ...]:
        """Names of all graders, the rows' own included, in their order."""
        own = (grader.name for row in self.rows for grader in row.graders)
        return tuple(dict.fromkeys([*(grader.name for grader in self.graders), *own]))

    def as_json(self) -> JsonObject:
        """Return it as a sweep file has it; reading that gives the same sweep."""
        body: JsonObject = {
            "name": self.name,
            "prompts": [_prompt_json(prompt) for prompt in self.prompts],
            "models": list(self.models),
            "settings": [dict(settings) for settings in self.settings],
            "rows": [row.source for row in self.rows],
            "lines": [row.line for row in self.rows],
            "graders": [grader.as_json() for grader in self.graders],
            "price": {"input": self.price.input, "output": self.price.output},
            "judge": self.judge,
            "notes": list(self.notes),
        }
        return body | ({"tasks": list(self.tasks)} if self.tasks else {})

    @property
    def content_hash(self) -> str:
        """Name everything that answers and grades follow from."""
        text = json.dumps(self.as_json(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings_text(settings: Mapping[str, Json]) -> str:
    """Return settings in a line."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in settings.items())


def sampling_of(settings: Mapping[str, Json]) -> Sampling:
    """Return the sampling of some settings: greedy, with seed 0, and of 256 tokens at most,
    where they do not say.

    Raises `InvalidRequest` naming the setting.
    """
    values: dict[str, object] = {
        "temperature": 0.0, "max_tokens": DEFAULT_MAX_TOKENS, "seed": 0, **settings,
    }  # fmt: skip
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return Sampling(**values)  # type: ignore[arg-type]  # it validates its fields itself


def question_of(request: Request) -> str:
    """Return the last user message."""
    users = (each.content for each in reversed(request.messages) if each.role == "user")
    return next(users, "")


def _prompt_json(prompt: SweepPrompt) -> JsonObject:
    messages: list[Json] = [dict(message.to_openai()) for message in prompt.messages]
    body: JsonObject = {"name": prompt.name, "messages": messages}
    if prompt.tools:
        body["tools"] = [tool.to_openai() for tool in prompt.tools]
    if prompt.schema is not None:
        body["schema"] = dict(prompt.schema)  # type: ignore[arg-type]
    if prompt.defaults:
        body["defaults"] = dict(prompt.defaults)
    return body


def _plain(value: Json) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
