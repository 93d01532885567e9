"""What a version of a prompt says: messages with variables, model, settings, schema and tools.

Reads and writes it as JSON, in which it is stored, sent and exported. Every error names its place
as a client would write it (``messages[0].content``). Knows no database and no page.
"""

import dataclasses
import datetime
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from playground.errors import InvalidRequest
from playground.lab.prompt_templates import undeclared
from playground.protocol import Message, Role, Sampling
from playground.protocol.json_types import JsonObject

VariableType = Literal["text", "long_text", "number", "choice", "date", "file"]
Value = str | int | float
"""What a variable is rendered with: text, an ISO date or a file's text as a string; a number."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
MAX_MESSAGES, MAX_VARIABLES, MAX_CHOICES = 200, 100, 1000
MAX_VALUE_CHARACTERS = 1_000_000
ROLES = tuple(role for role in get_args(Role) if role != "tool")
SETTINGS = tuple(parameter.name for parameter in dataclasses.fields(Sampling))
FIELDS = ("messages", "variables", "model", "sampling", "schema", "tools")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the messages. Without a ``default`` a value has to be given."""

    name: str
    type: VariableType = "text"
    description: str = ""
    default: Value | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: object, place: str) -> Value:
        """Return a value as it is rendered. Raises `InvalidRequest` at ``place``."""
        if self.type == "number":
            return _number(value, place)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise InvalidRequest(place, f"must be text, not {_kind(value)}")
        if len(value) > MAX_VALUE_CHARACTERS:
            raise InvalidRequest(place, f"has more than {MAX_VALUE_CHARACTERS:,} characters")
        if self.type == "choice" and value not in self.choices:
            raise InvalidRequest(place, f"{value[:100]!r} is none of {', '.join(self.choices)}")
        if self.type == "date":
            return _date(value, place)
        return value

    def to_json(self) -> JsonObject:
        """The variable without what is not set."""
        shown: JsonObject = {"name": self.name, "type": self.type}
        if self.description:
            shown["description"] = self.description
        if self.choices:
            shown["choices"] = list(self.choices)
        if self.default is not None:
            shown["default"] = self.default
        return shown


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """A message whose text is a Jinja template."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class PromptContent:
    """Everything that belongs to one version. ``sampling`` holds the settings that it sets, by
    `Sampling`'s names; ``schema`` is the answer's JSON schema, ``tools`` are OpenAI's functions.
    """

    messages: tuple[PromptMessage, ...]
    variables: tuple[Variable, ...] = ()
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    schema: JsonObject | None = None
    tools: tuple[JsonObject, ...] = ()

    @classmethod
    def from_json(cls, value: object, place: str = "") -> "PromptContent":
        """Read a version's content. A variable that the messages use and that is not described is
        text. Raises `InvalidRequest` naming the field, below ``place``."""
        at = f"{place}." if place else ""
        given = _object(value, place or "prompt")
        for name in given:
            if name not in FIELDS:
                raise InvalidRequest(f"{at}{name}", f"is not known; known: {', '.join(FIELDS)}")
        messages = _messages(given.get("messages"), f"{at}messages")
        variables = _variables(given.get("variables") or [], f"{at}variables")
        known = {variable.name for variable in variables}
        for number, message in enumerate(messages):
            for name in undeclared(message.content, f"{at}messages[{number}].content"):
                if name not in known:
                    known.add(name)
                    variables.append(_variable({"name": name}, f"{at}variables"))
        schema = given.get("schema")
        tools = _list(given.get("tools") or [], f"{at}tools")
        return cls(
            messages,
            tuple(variables),
            _text(given.get("model") or "", f"{at}model"),
            _sampling(given.get("sampling") or {}, f"{at}sampling"),
            None if schema in (None, {}) else _object(schema, f"{at}schema"),
            tuple(_tool(tool, f"{at}tools[{number}]") for number, tool in enumerate(tools)),
        )

    def to_json(self) -> JsonObject:
        """The content as JSON, without what is not set; `from_json` gives the same back."""
        shown: JsonObject = {"model": self.model} if self.model else {}
        shown["messages"] = [{"role": each.role, "content": each.content} for each in self.messages]
        if self.variables:
            shown["variables"] = [variable.to_json() for variable in self.variables]
        if self.sampling:
            shown["sampling"] = dict(self.sampling)
        if self.schema is not None:
            shown["schema"] = self.schema
        if self.tools:
            shown["tools"] = list(self.tools)
        return shown

    def values(self, given: Mapping[str, object], place: str = "variables") -> dict[str, Value]:
        """Return the value of each variable: checked, or its default.

        Raises `InvalidRequest` for one that is missing, unknown or of a wrong type.
        """
        known = {variable.name: variable for variable in self.variables}
        for name in given:
            if name not in known:
                names = ", ".join(known) or "none"
                raise InvalidRequest(f"{place}.{name}", f"the prompt has no such variable: {names}")
        values: dict[str, Value] = {}
        missing: list[Variable] = []
        for name, variable in known.items():
            at, value = f"{place}.{name}", given.get(name)
            if value is None or (value == "" and variable.type in ("number", "choice", "date")):
                value = variable.default
            if value is None:
                missing.append(variable)
            else:
                values[name] = variable.check(value, at)
        if missing:
            first, *others = missing
            problem = f"is missing; the prompt needs it ({first.type})"
            if others:
                problem += f", as well as {', '.join(variable.name for variable in others)}"
            raise InvalidRequest(f"{place}.{first.name}", problem)
        return values


def content_of(messages: Sequence[Message], **rest: object) -> PromptContent:
    """Return a conversation as a prompt's content; braces of its text are no template.

    ``rest`` are further fields of `PromptContent.from_json`.
    """
    quoted = [
        {"role": message.role, "content": verbatim(message.content)}
        for message in messages
        if message.role in ROLES and message.content
    ]
    return PromptContent.from_json({"messages": quoted, **rest})


def verbatim(text: str) -> str:
    """Return a template that renders to this text."""
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", text)


def _messages(value: object, place: str) -> tuple[PromptMessage, ...]:
    items = _list(value, place)
    if not items or len(items) > MAX_MESSAGES:
        raise InvalidRequest(place, f"needs between 1 and {MAX_MESSAGES} messages")
    messages = []
    for number, item in enumerate(items):
        at = f"{place}[{number}]"
        message = _object(item, at)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise InvalidRequest(f"{at}.role", f"{role!r} is none of {', '.join(ROLES)}")
        messages.append(PromptMessage(role, _text(content, f"{at}.content")))  # type: ignore[arg-type]
    return tuple(messages)


def _variables(value: object, place: str) -> list[Variable]:
    items = _list(value, place)
    if len(items) > MAX_VARIABLES:
        raise InvalidRequest(place, f"{len(items)} variables; {MAX_VARIABLES} at most")
    variables = [_variable(item, f"{place}[{number}]") for number, item in enumerate(items)]
    names = [variable.name for variable in variables]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InvalidRequest(f"{place}[{number}].name", f"{name!r} stands there twice")
    return variables


def _variable(value: object, place: str) -> Variable:
    given = _object(value, place)
    known = [parameter.name for parameter in dataclasses.fields(Variable)]
    for key in given:
        if key not in known:
            raise InvalidRequest(f"{place}.{key}", f"is not known; known: {', '.join(known)}")
    name, kind = _text(given.get("name"), f"{place}.name"), given.get("type") or "text"
    if not NAME.fullmatch(name):
        problem = f"{name[:100]!r} is no name of a variable: letters, digits and _, a letter first"
        raise InvalidRequest(f"{place}.name", problem)
    if kind not in get_args(VariableType):
        types = ", ".join(get_args(VariableType))
        raise InvalidRequest(f"{place}.type", f"{kind!r} is none of {types}")
    choices = _list(given.get("choices") or [], f"{place}.choices")
    texts = tuple(_text(choice, f"{place}.choices[{n}]") for n, choice in enumerate(choices))
    if bool(texts) != (kind == "choice") or len(texts) > MAX_CHOICES:
        problem = f"a choice needs 1 to {MAX_CHOICES}, the other types none"
        raise InvalidRequest(f"{place}.choices", problem)
    description = _text(given.get("description") or "", f"{place}.description")
    variable = Variable(name, kind, description, None, texts)  # type: ignore[arg-type]
    default = given.get("default")
    if default is None:
        return variable
    return dataclasses.replace(variable, default=variable.check(default, f"{place}.default"))


def _sampling(value: object, place: str) -> Mapping[str, Any]:
    given = _object(value, place)
    for name in given:
        if name not in SETTINGS:
            raise InvalidRequest(f"{place}.{name}", "is no sampling setting")
    try:
        sampling_of(given)
    except InvalidRequest as error:
        raise InvalidRequest(f"{place}.{error.field}", error.problem) from error
    return given


def sampling_of(settings: Mapping[str, Any], base: Sampling | None = None) -> Sampling:
    """Return the settings over ``base``. Raises `InvalidRequest` naming the setting."""
    given: dict[str, Any] = dict(settings)
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    for name in ("stop", "stop_token_ids"):
        if name in given:
            given[name] = tuple(_list(given[name], name))
    if "logit_bias" in given:
        biases = given["logit_bias"]
        if not isinstance(biases, Mapping):
            raise InvalidRequest("logit_bias", f"must be an object, not {_kind(biases)}")
        biases = {str(key): bias for key, bias in biases.items()}
        if not all(key.isdecimal() for key in biases):
            raise InvalidRequest("logit_bias", "its keys must be token ids")
        given["logit_bias"] = {int(key): bias for key, bias in biases.items()}
    return dataclasses.replace(base or Sampling(), **given)


def _tool(value: object, place: str) -> JsonObject:
    tool = _object(value, place)
    function = _object(tool.get("function", tool), f"{place}.function")
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise InvalidRequest(f"{place}.function.name", "is needed")
    _object(function.get("parameters") or {}, f"{place}.function.parameters")
    return {"type": "function", "function": {k: v for k, v in function.items() if k != "type"}}


def _number(value: object, place: str) -> int | float:
    if isinstance(value, str):
        text = value
        try:
            value = float(text)
        except ValueError:
            raise InvalidRequest(place, f"{text[:100]!r} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(place, f"must be a number, not {_kind(value)}")
    if not math.isfinite(value) or abs(value) > 1e300:
        raise InvalidRequest(place, f"{value!r} is out of range")
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _date(value: str, place: str) -> str:
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        problem = f"{value[:100]!r} is not a date such as 2026-11-30"
        raise InvalidRequest(place, problem) from None


def _object(value: object, place: str) -> JsonObject:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidRequest(place, f"must be an object, not {_kind(value)}")
    return dict(value)


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidRequest(place, f"must be a list, not {_kind(value)}")
    return list(value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(place, f"must be text, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    names = {type(None): "missing", bool: "a truth value", str: "text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else type(value).__name__)
