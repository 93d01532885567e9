"""Recognises a record's format and turns it into a `TrainingRow`.

Conversations: ``messages`` (OpenAI's, Together's), ``conversations`` (ShareGPT's, with tools),
prompt and completion (TRL's, OpenAI's, Together's instruction format), Alpaca's. Preferences:
TRL's prompt, chosen, rejected; Together's input, preferred_output, non_preferred_output;
LLaMA-Factory's. Plain text: ``text``. Sources: https://docs.together.ai/docs/fine-tuning-data-preparation,
https://huggingface.co/docs/trl/dataset_formats, LLaMA-Factory's data/README.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from finetune.data.training_row import (
    Conversation,
    JsonObject,
    PlainText,
    Preference,
    TrainingRow,
)
from playground.errors import InvalidRequest
from playground.protocol import Message, Tool, ToolCall
from playground.protocol.messages import Role

Body = Mapping[str, object]
SHAREGPT_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}


class FormatError(Exception):
    """Raised for a record that cannot become a row: its field, and what to do about it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


def to_row(record: Body, line: int) -> tuple[str, TrainingRow]:
    """Return the format's name and the row. Raises `FormatError`."""
    for fields, name, read in _FORMATS:
        if all(record.get(field) is not None for field in fields):
            return name, read(record, line)
    known = "; ".join(" and ".join(fields) for fields, *_ in _FORMATS)
    raise FormatError("line", f"has none of the known fields: {known}")


def _conversation(record: Body, messages: Sequence[object], line: int, place: str) -> Conversation:
    built = _built(messages, place)
    if not any(message.role == "assistant" for message in built):
        raise FormatError(place, "has no assistant message, so nothing to learn")
    return Conversation(built, _tools(record.get("tools")), line)


def _openai(record: Body, line: int) -> Conversation:
    return _conversation(record, _list(record, "messages"), line, "messages")


def _sharegpt(record: Body, line: int) -> Conversation:
    return _conversation(record, _sharegpt_messages(record), line, "conversations")


def _sharegpt_messages(record: Body) -> list[Body]:
    turns: list[Body] = [
        _from_sharegpt(at, t) for at, t in enumerate(_list(record, "conversations"))
    ]
    system = record.get("system")
    return [{"role": "system", "content": system}, *turns] if system else turns


def _from_sharegpt(at: int, turn: object) -> JsonObject:
    if not isinstance(turn, dict):
        raise FormatError(f"conversations[{at}]", "must be an object with from and value")
    if "role" in turn and "from" not in turn:
        return turn  # OpenAI's messages under ShareGPT's name
    role, value = turn.get("from"), turn.get("value")
    if not isinstance(role, str) or role not in SHAREGPT_ROLES:
        raise FormatError(
            f"conversations[{at}].from", f"must be one of {', '.join(SHAREGPT_ROLES)}"
        )
    if role == "function_call":
        return {"role": "assistant", "tool_calls": _calls_of_text(f"conversations[{at}]", value)}
    return {"role": SHAREGPT_ROLES[role], "content": value}


def _calls_of_text(place: str, value: object) -> list[Body]:
    try:
        calls = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise FormatError(f"{place}.value", "is a function call that is not JSON") from None
    return [{"function": call} for call in (calls if isinstance(calls, list) else [calls])]


def _prompt_and_completion(record: Body, line: int) -> Conversation:
    messages = [
        *_messages_or_text(record, "prompt", "user"),
        *_messages_or_text(record, "completion", "assistant"),
    ]
    return _conversation(record, messages, line, "completion")


def _messages_or_text(record: Body, name: str, role: str) -> list[object]:
    value = record[name]
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, dict):
        return [_from_sharegpt(0, value)]
    return _list(record, name)


def _alpaca(record: Body, line: int) -> Conversation:
    answer = {"role": "assistant", "content": record["output"]}
    return _conversation(record, [*_alpaca_prompt(record), answer], line, "output")


def _alpaca_prompt(record: Body) -> list[Body]:
    instruction, details = record["instruction"], record.get("input") or ""
    if not isinstance(instruction, str) or not isinstance(details, str):
        raise FormatError("instruction", "must be text")
    messages: list[Body] = []
    if record.get("system"):
        messages.append({"role": "system", "content": record["system"]})
    history = record.get("history") or []
    if not isinstance(history, list):
        raise FormatError("history", "must be a list of pairs")
    for at, pair in enumerate(history):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise FormatError(f"history[{at}]", "must be a question and its answer")
        messages += [
            {"role": "user", "content": pair[0]},
            {"role": "assistant", "content": pair[1]},
        ]
    return [
        *messages,
        {"role": "user", "content": "\n\n".join(text for text in (instruction, details) if text)},
    ]


def _trl_preference(record: Body, line: int) -> Preference:
    prompt = _messages_or_text(record, "prompt", "user")
    return _preference(record, prompt, "chosen", "rejected", line)


def _implicit_preference(record: Body, line: int) -> Preference:
    """TRL's form without a prompt: chosen and rejected begin alike."""
    chosen, rejected = _list(record, "chosen"), _list(record, "rejected")
    if chosen[:-1] != rejected[:-1] or len(chosen) < 2:
        raise FormatError("rejected", "must be the chosen conversation but for its last message")
    last = {**record, "chosen": chosen[-1:], "rejected": rejected[-1:]}
    return _preference(last, chosen[:-1], "chosen", "rejected", line)


def _together_preference(record: Body, line: int) -> Preference:
    body = record["input"]
    if not isinstance(body, dict):
        raise FormatError("input", "must be an object with messages")
    if "messages" not in body:
        raise FormatError("input.messages", "is missing")
    with_tools = {**record, "tools": body.get("tools", record.get("tools"))}
    return _preference(
        with_tools, _list(body, "messages"), "preferred_output", "non_preferred_output", line
    )


def _sharegpt_preference(record: Body, line: int) -> Preference:
    return _preference(record, _sharegpt_messages(record), "chosen", "rejected", line)


def _alpaca_preference(record: Body, line: int) -> Preference:
    return _preference(record, _alpaca_prompt(record), "chosen", "rejected", line)


def _preference(
    record: Body, prompt: Sequence[object], chosen: str, rejected: str, line: int
) -> Preference:
    answers = []
    for name in (chosen, rejected):
        built = _built(_messages_or_text(record, name, "assistant"), name)
        if len(built) != 1 or built[0].role != "assistant":
            raise FormatError(name, "must be one assistant message")
        answers.append(built[0])
    if answers[0] == answers[1]:
        raise FormatError(rejected, f"is the same as {chosen}, so nothing is preferred")
    messages = _built(prompt, "prompt")
    if messages[-1].role == "assistant":
        raise FormatError("prompt", "ends with an assistant message; it must end before the answer")
    chosen_answer, rejected_answer = answers
    return Preference(messages, chosen_answer, rejected_answer, _tools(record.get("tools")), line)


def _text(record: Body, line: int) -> PlainText:
    text = record["text"]
    if not isinstance(text, str) or not text.strip():
        raise FormatError("text", "must be text that is not empty")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError("text", f"not valid Unicode at character {error.start}") from None
    return PlainText(text, line)


_FORMATS: tuple[tuple[tuple[str, ...], str, Callable[[Body, int], TrainingRow]], ...] = (
    (("messages",), "messages", _openai),
    (("conversations", "chosen", "rejected"), "sharegpt preference", _sharegpt_preference),
    (("conversations",), "sharegpt", _sharegpt),
    (("input", "preferred_output", "non_preferred_output"), "preference", _together_preference),
    (("instruction", "chosen", "rejected"), "alpaca preference", _alpaca_preference),
    (("prompt", "chosen", "rejected"), "prompt, chosen, rejected", _trl_preference),
    (("chosen", "rejected"), "chosen, rejected", _implicit_preference),
    (("prompt", "completion"), "prompt and completion", _prompt_and_completion),
    (("instruction", "output"), "alpaca", _alpaca),
    (("text",), "plain text", _text),
)


def _list(record: Body, name: str) -> list[object]:
    value = record[name]
    if not isinstance(value, list) or not value:
        raise FormatError(name, "must be a list that is not empty")
    return value


def _built(bodies: Sequence[object], place: str) -> tuple[Message, ...]:
    """Build messages; calls and results without ids are given matching ones in their order."""
    messages: list[Message] = []
    waiting: list[str] = []
    for at, body in enumerate(bodies):
        given = body
        if isinstance(body, dict) and body.get("role") == "tool" and not body.get("tool_call_id"):
            given = {**body, "tool_call_id": waiting.pop(0) if waiting else None}
        message = _message(f"{place}[{at}]", given, at)
        if message.tool_calls:
            waiting = [call.id for call in message.tool_calls]
        elif message.role == "tool" and message.tool_call_id in waiting:
            waiting.remove(message.tool_call_id)
        messages.append(message)
    return tuple(messages)


def _message(place: str, body: object, at: int) -> Message:
    if not isinstance(body, dict):
        raise FormatError(place, "must be an object with role and content")
    calls = body.get("tool_calls") or ()
    if not isinstance(calls, (list, tuple)):
        raise FormatError(f"{place}.tool_calls", "must be a list")
    content = body.get("content")
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        raise FormatError(f"{place}.content", "must be text")
    role = body.get("role", "")
    if not isinstance(role, str):
        raise FormatError(f"{place}.role", "must be text")
    if role == "assistant" and not content.strip() and not calls:
        raise FormatError(f"{place}.content", "is empty: there is nothing to learn from it")
    call_id = body.get("tool_call_id")
    if call_id is not None and not isinstance(call_id, str):
        raise FormatError(f"{place}.tool_call_id", "must be text")
    try:
        return Message(
            role=cast(Role, role),
            content=content,
            tool_calls=tuple(
                _call(f"{place}.tool_calls[{i}]", c, f"{at:05}c{i:03}") for i, c in enumerate(calls)
            ),
            tool_call_id=call_id,
        )
    except InvalidRequest as error:
        raise FormatError(
            f"{place}.{error.field.removeprefix('messages.')}", error.problem
        ) from None
    except RecursionError:
        raise FormatError(
            f"{place}.tool_calls", "has arguments that are nested too deeply"
        ) from None


def _call(place: str, body: object, spare_id: str) -> ToolCall:
    call = body if isinstance(body, dict) else {}
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise FormatError(f"{place}.function", "must have a name and arguments")
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(str(call.get("id") or spare_id), function["name"], text)


def _tools(body: object) -> tuple[Tool, ...]:
    if isinstance(body, str):
        try:
            body = json.loads(body) if body.strip() else None
        except (ValueError, RecursionError):
            raise FormatError("tools", "is text that is not JSON") from None
    if body is None:
        return ()
    if not isinstance(body, list):
        raise FormatError("tools", "must be a list")
    tools = []
    for at, tool in enumerate(body):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise FormatError(f"tools[{at}].function", "must have a name")
        parameters = function.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise FormatError(f"tools[{at}].function.parameters", "must be a JSON schema")
        try:
            tools.append(Tool(function["name"], str(function.get("description") or ""), parameters))
        except InvalidRequest as error:
            raise FormatError(f"tools[{at}].function", error.problem) from None
    return tuple(tools)
