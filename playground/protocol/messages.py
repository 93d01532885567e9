"""Conversations in the field's terms: messages, tools and tool calls.

Validates what every chat template needs; what only one template forbids (such as the place of a
system message in V7) is that tokenizer's to refuse.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from playground.errors import InvalidRequest

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call.

    ``parameters`` is a JSON schema of type object. With ``strict`` one that decoding cannot
    guarantee is refused; otherwise the arguments of a call are checked where it does not.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidRequest("tools", "a function needs a name")

    def to_openai(self) -> dict[str, Any]:
        """The shape that OpenAI's API and every chat template use."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters or {"type": "object", "properties": {}}),
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model made. ``arguments`` is JSON text, as OpenAI's API carries it."""

    id: str
    name: str
    arguments: str

    def __post_init__(self) -> None:
        try:
            parsed = json.loads(self.arguments)
        except ValueError as error:
            raise InvalidRequest("tool_calls", f"arguments are not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise InvalidRequest("tool_calls", "arguments must be a JSON object")

    def to_openai(self) -> dict[str, Any]:
        """The shape that OpenAI's API and every chat template use."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. ``reasoning`` is what the assistant wrote before its answer.

    Raises `InvalidRequest` for an unknown role, a tool message without ``tool_call_id``, tool
    calls on anyone but the assistant, or text that is not valid Unicode (a lone surrogate).
    """

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            roles = ", ".join(ROLES)
            raise InvalidRequest("messages.role", f"{self.role!r} is none of {roles}")
        if self.role == "tool" and not self.tool_call_id:
            raise InvalidRequest(
                "messages.tool_call_id", "a tool message names the call it answers"
            )
        if self.tool_calls and self.role != "assistant":
            raise InvalidRequest("messages.tool_calls", "only the assistant calls tools")
        if self.reasoning and self.role != "assistant":
            raise InvalidRequest("messages.reasoning_content", "only the assistant reasons")
        for field, text in (("content", self.content), ("reasoning_content", self.reasoning)):
            if text.isascii():
                continue
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidRequest(
                    f"messages.{field}", f"not valid Unicode at character {error.start}"
                ) from error

    def to_openai(self) -> dict[str, Any]:
        """The shape that OpenAI's API and every chat template use."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            message["tool_calls"] = [call.to_openai() for call in self.tool_calls]
        if self.tool_call_id:
            message["tool_call_id"] = self.tool_call_id
        if self.name:
            message["name"] = self.name
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        return message
