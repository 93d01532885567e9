"""Function calling: choose among one to four tools, copy the values, read the result, decline."""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass

from playground.protocol.json_types import Json, JsonObject
from recipes.tiny_mistral.corpus.asking import draw_any
from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.pools import attribute, noun, plain_value, value
from recipes.tiny_mistral.corpus.rows import CorpusCall, CorpusRow, CorpusTurn, dialogue

NO_TOOL = "I do not have a tool for that."
SYSTEMS = (
    "You are a helpful assistant.",
    "You are an assistant with tools.",
    "Use the tools when needed.",
)
ID_CHARACTERS = string.ascii_letters + string.digits
VERBS = {
    "get": ("get", "show me", "give me", "tell me", "find out"),
    "book": ("book", "reserve", "please book"),
    "create": ("create", "make", "add"),
    "delete": ("delete", "remove", "erase"),
    "search": ("search", "look for", "find"),
    "send": ("send", "please send"),
    "update": ("update", "change", "modify"),
    "check": ("check", "verify", "look at"),
    "start": ("start", "launch", "begin"),
    "cancel": ("cancel", "stop", "call off"),
    "list": ("list", "show all", "enumerate"),
    "compute": ("compute", "calculate", "work out"),
}
READING_VERBS = frozenset(("get", "check", "search", "compute", "list"))
# parameter -> (JSON type, kind of value, how a person says it)
KNOWN = {
    "city": ("string", "place", ("in {}", "for {}", "at {}", "in the city of {}")),
    "location": ("string", "place", ("in {}", "at {}", "near {}")),
    "destination": ("string", "place", ("to {}", "going to {}")),
    "origin": ("string", "place", ("from {}", "starting from {}")),
    "name": ("string", "person", ("for {}", "named {}", "called {}")),
    "recipient": ("string", "person", ("to {}", "addressed to {}")),
    "email": ("string", "email", ("to {}", "with the email {}")),
    "date": ("string", "date", ("on {}", "for {}")),
    "time": ("string", "time", ("at {}",)),
    "days": ("integer", "small", ("for {} days", "over {} days")),
    "quantity": ("integer", "small", ("{} times", "quantity {}")),
    "amount": ("integer", "num", ("of {} euros", "amount {}")),
    "id": ("string", "code", ("with id {}", "number {}", "id {}")),
    "color": ("string", "color", ("in {}", "colored {}")),
    "language": ("string", "lang", ("in {}",)),
    "topic": ("string", "word", ("about {}", "on the topic {}")),
    "title": ("string", "title", ("titled {}", "with the title {}")),
    "price": ("number", "decimal", ("for {} euros", "at a price of {}")),
    "query": ("string", "word", ("for {}", "about {}")),
}
GENERIC = (
    "with {p} {v}",
    "{p} {v}",
    "and the {p} is {v}",
    "with the {p} {v}",
    "where {p} is {v}",
    "using {p} {v}",
    "{p}: {v}",
)
REQUESTS = (
    "{c}",
    "{c}",
    "{C}.",
    "{C}",
    "Can you {c}?",
    "Could you {c}, please?",
    "Please {c}.",
    "I want you to {c}.",
    "I would like to {c}",
    "Hello, {c}.",
    "I need to {c}.",
)
FAILURES = ("not found", "not available", "closed", "no permission")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a tool. ``spoken`` are phrases that state its value without its name."""

    name: str
    type: str
    kind: str
    spoken: tuple[str, ...] = ()
    required: bool = True
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A generated tool."""

    verb: str
    noun: str
    parameters: tuple[Parameter, ...]
    described: Mapping[str, str]
    description: str
    style: str = "snake"

    @property
    def name(self) -> str:
        """The function name, such as get_weather or getWeather."""
        words = f"{self.verb} {self.noun}".split()
        if self.style == "camel":
            return words[0] + "".join(word.capitalize() for word in words[1:])
        return "_".join(words)

    def as_openai(self) -> JsonObject:
        """Return the definition that the model reads, in OpenAI's format."""
        properties: JsonObject = {}
        for parameter in self.parameters:
            schema: JsonObject = {"type": parameter.type}
            if parameter.options:
                schema["enum"] = [*parameter.options]
            if parameter.name in self.described:
                schema["description"] = self.described[parameter.name]
            properties[parameter.name] = schema
        required: list[Json] = [
            parameter.name for parameter in self.parameters if parameter.required
        ]
        schema = {"type": "object", "properties": properties, "required": required}
        function: JsonObject = {
            "name": self.name,
            "description": self.description,
            "parameters": schema,
        }
        return {"type": "function", "function": function}


def _parameter(draw: Draw) -> Parameter:
    if draw.chance(0.55):
        name = draw.pick(list(KNOWN))
        type_, kind, spoken = KNOWN[name]
        return Parameter(name, type_, kind, spoken, required=not draw.chance(0.12))
    name = attribute(draw)
    if draw.chance(0.15):
        name = f"{name}_{attribute(draw)}"
    if draw.chance(0.1):
        options = tuple(dict.fromkeys(draw.word() for _ in range(draw.number(2, 3))))
        return Parameter(name, "string", "option", options=options)
    type_, kind = draw.pick((("string", "any"), ("string", "any"), ("integer", "num")))
    return Parameter(name, type_, kind)


def _tool(draw: Draw, verb: str | None = None, thing: str | None = None) -> ToolSpec:
    verb = verb or draw.pick(list(VERBS))
    thing = thing or noun(draw)
    parameters: dict[str, Parameter] = {}
    for _ in range(draw.pick((1, 1, 1, 2, 2, 3))):
        parameter = _parameter(draw)
        parameters.setdefault(parameter.name, parameter)
    article = "an" if thing[0] in "aeiou" else "a"
    description = draw.pick(
        (
            f"{verb.capitalize()} the {thing}.",
            f"{verb.capitalize()} {article} {thing}",
            f"{verb.capitalize()} {thing}",
            f"Use this to {verb} the {thing}.",
            f"{verb.capitalize()} the {thing} of the user.",
            f"This function can {verb} {article} {thing}.",
        )
    )
    described = {}
    for name in parameters:
        if draw.chance(0.3):
            words = name.replace("_", " ")
            described[name] = draw.pick(
                (f"The {words}", f"The {words} of the {thing}", words.capitalize())
            )
    style = "camel" if draw.chance(0.12) else "snake"
    return ToolSpec(verb, thing, tuple(parameters.values()), described, description, style)


def _tools(draw: Draw, max_tools: int) -> list[ToolSpec]:
    """Draw one to ``max_tools`` tools about different things; at times two verbs for one."""
    count = min(max_tools, draw.pick((1, 2, 2, 3, 3, 4)))
    tools: list[ToolSpec] = []
    while len(tools) < count:
        tool = _tool(draw)
        if tool.noun not in [other.noun for other in tools]:
            tools.append(tool)
    if count > 1 and draw.chance(0.25):
        verb = draw.pick([v for v in VERBS if v != tools[0].verb])
        tools[1] = _tool(draw, verb, tools[0].noun)
    draw.rng.shuffle(tools)
    return tools


def _arguments(draw: Draw, tool: ToolSpec) -> tuple[JsonObject, list[str]]:
    """Draw the arguments of a call and the words that state them."""
    arguments: JsonObject = {}
    said: list[str] = []
    for parameter in tool.parameters:
        if not parameter.required and draw.chance(0.6):
            continue
        if parameter.options:
            chosen: Json = draw.pick(parameter.options)
        else:
            chosen = value(draw, parameter.kind)
        arguments[parameter.name] = chosen
        if parameter.spoken and draw.chance(0.75):
            said.append(draw.pick(parameter.spoken).format(chosen))
        else:
            words = parameter.name.replace("_", " ")
            said.append(draw.pick(GENERIC).replace("{p}", words).replace("{v}", str(chosen)))
    if draw.chance(0.3):
        draw.rng.shuffle(said)
    return arguments, said


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _request(draw: Draw, tool: ToolSpec, said: str) -> str:
    """Draw the user's request for a call of this tool."""
    if tool.verb == "get" and draw.chance(0.35):
        core = f"the {tool.noun} {said}".strip()
        frame = draw.pick(("What is {x}?", "What's {x}?", "I need to know {x}.", "{X}?"))
        return frame.replace("{x}", core).replace("{X}", _capital(core))
    verb, article = draw.pick(VERBS[tool.verb]), draw.pick(("the", "a", "the", "my", ""))
    core = " ".join(f"{verb} {article} {tool.noun} {said}".split())
    frame = draw.pick(REQUESTS)
    if verb.startswith("please") and "lease" in frame:
        frame = "{C}."
    return frame.replace("{c}", core).replace("{C}", _capital(core))


def _system(draw: Draw) -> list[CorpusTurn]:
    return [CorpusTurn("system", draw.pick(SYSTEMS))] if draw.chance(0.3) else []


def _id(draw: Draw) -> str:
    return "".join(draw.pick(ID_CHARACTERS) for _ in range(9))


def _specs(tools: list[ToolSpec]) -> tuple[JsonObject, ...]:
    return tuple(tool.as_openai() for tool in tools)


def call_row(draw: Draw, max_tools: int = 4) -> CorpusRow:
    """Draw a request that needs one call of one of the tools."""
    tools = _tools(draw, max_tools)
    tool = draw.pick(tools)
    arguments, said = _arguments(draw, tool)
    user = CorpusTurn("user", _request(draw, tool, " ".join(said)))
    answer = CorpusTurn("assistant", calls=(CorpusCall(tool.name, arguments),))
    return CorpusRow("tools.call", (*_system(draw), user, answer), _specs(tools))


def parallel_row(draw: Draw, max_tools: int = 4) -> CorpusRow:
    """Draw a request for two or three calls: one tool with several values, or two tools."""
    tools = _tools(draw, max_tools)
    if len(tools) > 1 and draw.chance(0.5):
        chosen = draw.rng.sample(tools, 2)
    else:
        chosen = [draw.pick(tools)] * draw.pick((2, 2, 3))
    calls, parts = [], []
    for position, tool in enumerate(chosen):
        arguments, said = _arguments(draw, tool)
        calls.append(CorpusCall(tool.name, arguments))
        repeats = position and tool is chosen[0]
        parts.append(" ".join(said) if repeats and said else _plain(draw, tool, said))
    user = CorpusTurn(
        "user", draw.pick(("{}", "{}.", "Please {}.", "Can you {}?")).format(" and ".join(parts))
    )
    turns = (*_system(draw), user, CorpusTurn("assistant", calls=tuple(calls)))
    return CorpusRow("tools.parallel", turns, _specs(tools))


def _plain(draw: Draw, tool: ToolSpec, said: list[str]) -> str:
    verb = draw.pick(VERBS[tool.verb]).removeprefix("please ")
    return " ".join([verb, "the", tool.noun, *said])


def decline_row(draw: Draw, max_tools: int = 4) -> CorpusRow:
    """Draw a request that no tool fits (declined), or small talk that needs none."""
    tools = _tools(draw, max_tools)
    if draw.chance(0.4):
        exchange = draw_any(draw, "en")
        return dialogue("tools.chat", [(exchange.question, exchange.answer)], tools=_specs(tools))
    other = _tool(draw)
    while other.noun in [tool.noun for tool in tools]:
        other = _tool(draw)
    _, said = _arguments(draw, other)
    turns = (
        *_system(draw),
        CorpusTurn("user", _request(draw, other, " ".join(said))),
        CorpusTurn("assistant", NO_TOOL),
    )
    return CorpusRow("tools.decline", turns, _specs(tools))


def answer_row(draw: Draw, max_tools: int = 4) -> CorpusRow:
    """Draw calls with their results, answered by a sentence that reports the results."""
    tools = _tools(draw, max_tools)
    chosen = [draw.pick(tools)]
    if len(tools) > 1 and draw.chance(0.2):
        chosen = draw.rng.sample(tools, 2)
    calls, requests, results, answers = [], [], [], []
    for tool in chosen:
        arguments, said = _arguments(draw, tool)
        call = CorpusCall(tool.name, arguments, _id(draw))
        result, answer = _result(draw, tool)
        calls.append(call)
        requests.append(_plain(draw, tool, said))
        results.append(CorpusTurn("tool", json.dumps(result, ensure_ascii=False), call_id=call.id))
        answers.append(answer)
    user = CorpusTurn(
        "user", " and ".join(requests) if len(chosen) > 1 else _capital(requests[0]) + "."
    )
    turns = (
        *_system(draw),
        user,
        CorpusTurn("assistant", calls=tuple(calls)),
        *results,
        CorpusTurn("assistant", " ".join(answers)),
    )
    return CorpusRow("tools.answer", turns, _specs(tools))


def _result(draw: Draw, tool: ToolSpec) -> tuple[JsonObject, str]:
    """Draw a function's result and the sentence that reports it."""
    if draw.chance(0.12):
        reason = draw.pick(FAILURES)
        return {"error": reason}, f"Sorry, there was an error: {reason}."
    if tool.verb not in READING_VERBS:
        reference = plain_value(draw, "code")
        return (
            {"status": "ok", "reference": reference},
            f"Done: the {tool.noun} is confirmed, reference {reference}.",
        )
    result: JsonObject = {}
    while len(result) < draw.pick((1, 1, 2, 3)):
        kind = draw.pick(("num", "word", "any", "small", "decimal"))
        result.setdefault(attribute(draw), value(draw, kind))
    findings = ", ".join(f"{key} is {content}" for key, content in result.items())
    return result, f"The {tool.noun}: {findings}."
