"""A sweep as people write it, read and checked as a whole before anything is asked.

    prompts: [{name: v1, system: Be brief., user: "{{ question }}"}, "greeting@2"]
    models: [mistral-small, cardiology]
    settings: {temperature: [0, 0.7], max_tokens: 64}
    rows: rows.jsonl
    graders: [exact, {type: number, tolerance: 0.01}]

Knows no backend; where prompts and files come from is handed in (`Sources`).
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from playground.errors import InvalidRequest
from playground.evaluation.grader_forms import NO_EXPRESSIONS, read_graders
from playground.evaluation.graders import Grader
from playground.lab.prompt_templates import undeclared
from playground.lab.sweeps.definition import (
    MAX_CELLS,
    MAX_REQUESTS,
    MAX_ROWS,
    Sweep,
    SweepPrompt,
    SweepRow,
    sampling_of,
)
from playground.lab.sweeps.prompting import check_row
from playground.lab.sweeps.rows import Located, RowsReader, read_messages, read_row, tools_of
from playground.protocol import Message, Sampling
from playground.protocol.json_types import Json, JsonObject
from playground.settings.usage import DEFAULT_PRICE, ModelPrice
from playground.structured.keywords import first_problem

KEYS: Final = (
    "name", "prompts", "models", "settings", "rows", "lines", "graders", "price", "judge", "notes",
)  # fmt: skip
PROMPT_KEYS: Final = ("name", "system", "user", "messages", "tools", "schema", "defaults", "prompt")
NOT_SWEPT: Final = ("logprobs", "prompt_logprobs", "logit_bias")
SETTINGS: Final = tuple(
    field.name for field in dataclasses.fields(Sampling) if field.name not in NOT_SWEPT
)


class PromptSource(Protocol):
    """Where prompts with versions are kept."""

    def sweep_prompt(self, reference: str) -> SweepPrompt:
        """Return the version that ``NAME@VERSION`` names. Raises a `PlaygroundError`."""
        ...

    def sweep_references(self) -> Sequence[str]:
        """All versions as ``NAME@VERSION``, the latest first."""
        ...


def no_file(name: str) -> list[Located]:
    """Refuse the file that a sweep names as its rows."""
    raise InvalidRequest("rows", f"{name!r}: files are not read here; give the rows themselves")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a sweep may refer to. ``read_rows`` reads the file that ``rows`` names; ``python`` lets
    expressions of the sweep itself run, ``expressions`` are those that may be named."""

    prompts: PromptSource | None = None
    read_rows: RowsReader = no_file
    python: bool = False
    expressions: Mapping[str, str] = dataclasses.field(default_factory=lambda: NO_EXPRESSIONS)


def read_sweep(body: Mapping[str, Json], sources: Sources) -> Sweep:
    """Read a sweep. Raises `InvalidRequest` that names the field, the row and the variable."""
    for key in body:
        if key not in KEYS:
            raise InvalidRequest(key, f"a sweep has no such field; it has {', '.join(KEYS)}")
    prompts = read_prompts(body.get("prompts"), sources.prompts)
    graders = read_graders(
        _list(body.get("graders"), "graders"),
        python=sources.python,
        expressions=sources.expressions,
    )
    rows = _read_rows(body, sources, [grader.name for grader in graders])
    sweep = Sweep(
        name=str(body.get("name") or "sweep")[:200],
        prompts=prompts,
        models=_models(body.get("models")),
        settings=read_settings(body.get("settings")),
        rows=rows,
        graders=graders,
        price=_price(body.get("price")),
        judge=str(body.get("judge") or ""),
        notes=tuple(map(str, _list(body.get("notes"), "notes"))),
    )
    check_sweep(sweep)
    return sweep


def check_sweep(sweep: Sweep) -> None:
    """Check what only the whole shows: its size, and that each row has what prompts and graders
    use. Raises `InvalidRequest`."""
    cells, rows = len(sweep.cells), len(sweep.rows)
    if not rows:
        raise InvalidRequest("rows", "there are none")
    if cells > MAX_CELLS:
        raise InvalidRequest("settings", f"{cells} cells; {MAX_CELLS} at most")
    if cells * rows > MAX_REQUESTS:
        problem = f"{cells} cells × {rows:,} rows are {cells * rows:,} requests"
        raise InvalidRequest("rows", f"{problem}; {MAX_REQUESTS:,} at most")
    if not sweep.graders and not any(row.graders for row in sweep.rows):
        raise InvalidRequest("graders", "give at least one")
    for number, row in enumerate(sweep.rows, 1):
        check_row(sweep, row, number)


def read_prompts(value: Json, source: PromptSource | None) -> tuple[SweepPrompt, ...]:
    """Read prompts: objects, user templates, or names of versions (``greeting@2``)."""
    items = _list(value, "prompts") or [{"name": "rows' own"}]
    prompts: list[SweepPrompt] = []
    for number, item in enumerate(items):
        prompt = _prompt(item, f"prompts[{number}]", number, source)
        names = {other.name for other in prompts}
        if prompt.name in names:
            raise InvalidRequest(f"prompts[{number}].name", f"{prompt.name!r} stands there twice")
        prompts.append(prompt)
    return tuple(prompts)


def _prompt(item: Json, where: str, number: int, source: PromptSource | None) -> SweepPrompt:
    if isinstance(item, str) and "@" in item and "{" not in item and " " not in item:
        item = {"prompt": item}
    if isinstance(item, str):
        item = {"user": item}
    if not isinstance(item, dict):
        raise InvalidRequest(where, "must be a template or an object")
    for key in item:
        if key not in PROMPT_KEYS:
            has = ", ".join(PROMPT_KEYS)
            raise InvalidRequest(f"{where}.{key}", f"a prompt has no such field; it has {has}")
    if "prompt" in item:
        if source is None:
            raise InvalidRequest(f"{where}.prompt", "no prompts are kept here")
        return source.sweep_prompt(str(item["prompt"]))
    messages = read_messages(_list(item.get("messages"), f"{where}.messages"), f"{where}.messages")
    system, user = item.get("system"), item.get("user")
    if system:
        messages = (Message("system", str(system)), *messages)
    if user:
        messages = (*messages, Message("user", str(user)))
    for at, message in enumerate(messages):
        undeclared(message.content, f"{where}.messages[{at}].content")
    schema = item.get("schema")
    if schema is not None and (not isinstance(schema, dict) or (problem := first_problem(schema))):
        raise InvalidRequest(
            f"{where}.schema", problem if isinstance(schema, dict) else "must be an object"
        )
    try:
        tools = tools_of(item.get("tools"))
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}.tools", error.problem) from error
    defaults = item.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise InvalidRequest(f"{where}.defaults", "must be an object")
    name = str(item.get("name") or f"prompt {number + 1}")
    return SweepPrompt(name, messages, tools, schema, defaults)


def read_settings(value: Json) -> tuple[Mapping[str, Json], ...]:
    """Read settings: an object, or a list of them; a list as a setting's value gives one choice for
    each of its items."""
    choices: list[JsonObject] = []
    for number, item in enumerate(value if isinstance(value, list) else [value or {}]):
        where = f"settings[{number}]" if isinstance(value, list) else "settings"
        if not isinstance(item, dict):
            raise InvalidRequest(where, "must be an object, such as {temperature: [0, 0.7]}")
        for name in item:
            if name not in SETTINGS:
                raise InvalidRequest(f"{where}.{name}", f"is none of {', '.join(SETTINGS)}")
        values = [_choices(name, item[name]) for name in item]
        for combined in itertools.product(*values):
            choice = dict(zip(item, combined, strict=True))
            try:
                sampling_of(choice)
            except InvalidRequest as error:
                raise InvalidRequest(f"{where}.{error.field}", error.problem) from error
            if choice not in choices:
                choices.append(choice)
    return tuple(choices) or ({},)


def _choices(name: str, value: Json) -> list[Json]:
    if name.startswith("stop") and isinstance(value, list):
        return value if value and isinstance(value[0], list) else [value]
    return value if isinstance(value, list) else [value]


def _models(value: Json) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else _list(value, "models")
    if not names:
        raise InvalidRequest("models", "name at least one")
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidRequest("models", "each is a model's name")
    return tuple(dict.fromkeys(str(name) for name in names))


def _price(value: Json) -> ModelPrice:
    if value is None:
        return DEFAULT_PRICE
    given = value if isinstance(value, dict) else {"input": value, "output": value}
    prices = []
    for name in ("input", "output"):
        price = given.get(name, getattr(DEFAULT_PRICE, name))
        if isinstance(price, bool) or not isinstance(price, (int, float)) or price < 0:
            raise InvalidRequest(
                f"price.{name}", f"{price!r} is no price in USD per million tokens"
            )
        prices.append(float(price))
    return ModelPrice(model="*", input=prices[0], output=prices[1])


def _read_rows(
    body: Mapping[str, Json], sources: Sources, taken: Sequence[str]
) -> tuple[SweepRow, ...]:
    value, lines = body.get("rows"), body.get("lines")
    if isinstance(value, str):
        located = sources.read_rows(value)
    else:
        located = []
        for number, item in enumerate(_list(value, "rows"), 1):
            if not isinstance(item, dict):
                raise InvalidRequest("rows", f"row {number}: must be an object")
            known = isinstance(lines, list) and number <= len(lines)
            line = lines[number - 1] if known and isinstance(lines, list) else number
            located.append((line if isinstance(line, int) else number, item))
    if len(located) > MAX_ROWS:
        raise InvalidRequest("rows", f"{len(located):,}; {MAX_ROWS:,} at most")
    return tuple(
        read_row(line, source, _own(line, source, sources, taken)) for line, source in located
    )


def _own(
    line: int, source: JsonObject, sources: Sources, taken: Sequence[str]
) -> tuple[Grader, ...]:
    own = source.get("graders")
    if own is None:
        return ()
    return read_graders(
        _list(own, f"rows: line {line}: graders"),
        f"rows: line {line}: graders",
        python=sources.python,
        expressions=sources.expressions,
        taken=taken,
    )


def _list(value: Json, where: str) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(where, "must be a list")
    return value
