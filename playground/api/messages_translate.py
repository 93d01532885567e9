"""From the body of Anthropic's messages to that of a chat completion, so that both are one call."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from playground.api.errors import spelled
from playground.api.messages_schemas import Block, MessageParam, MessagesBody, TextBlock
from playground.api.schemas import ChatBody
from playground.api.translate import ParsedRequest, chat_requests, model_info
from playground.errors import InvalidRequest
from playground.protocol import Backend, ModelInfo
from playground.protocol.json_types import JsonObject

SPELLING = {"stop": "stop_sequences", "response_format": "output_config.format"}
"""Chat's names of fields by Anthropic's."""


async def messages_request(body: MessagesBody, backend: Backend) -> ParsedRequest:
    """Return the one request of a message. Raises what `chat_requests` raises."""
    info = await model_info(body.model, backend)
    messages: list[JsonObject] = []
    if body.system:
        messages.append({"role": "system", "content": _text(body.system)})
    for place, message in enumerate(body.messages):
        messages += _messages(place, message)
    if not body.messages:
        raise InvalidRequest("messages", "at least one message is needed")
    chat = ChatBody.model_validate(_chat(body, messages, info))
    with spelled(names_of(body)):
        return await chat_requests(chat, backend)


def names_of(body: MessagesBody) -> dict[str, str]:
    """How the client spells the fields that an error may name."""
    tools = {
        f"tools[{place}].function.{ours}": f"tools[{place}].{theirs}"
        for place in range(len(body.tools or ()))
        for ours, theirs in (("name", "name"), ("parameters", "input_schema"))
    }
    return {**SPELLING, **tools}


def _messages(place: int, message: MessageParam) -> list[JsonObject]:
    if message.role == "assistant":
        return [_answer(message.content)]
    messages: list[JsonObject] = []
    texts: list[str] = []
    for at, block in enumerate(message.content):
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "tool_result" and block.tool_use_id:
            if texts:
                messages.append({"role": message.role, "content": "\n".join(texts)})
            texts = []
            result = _text(block.content)
            content = f"Error: {result}" if block.is_error else result
            messages.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": content})
        else:
            problem = f"no {block.type} of the {message.role}"
            raise InvalidRequest(f"messages[{place}].content[{at}].type", problem)
    if texts or not messages:
        messages.append({"role": message.role, "content": "\n".join(texts)})
    return messages


def _answer(blocks: Sequence[Block]) -> JsonObject:
    answer: dict[str, Any] = {"role": "assistant"}
    answer["content"] = "\n".join(block.text for block in blocks if block.type == "text")
    if thought := "\n".join(block.thinking for block in blocks if block.type == "thinking"):
        answer["reasoning_content"] = thought
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": json.dumps(block.input)},
        }
        for block in blocks
        if block.type == "tool_use"
    ]
    return answer | ({"tool_calls": calls} if calls else {})


def _chat(body: MessagesBody, messages: list[JsonObject], info: ModelInfo) -> JsonObject:
    """The body of the same chat completion. A last message of the assistant is continued."""
    last = body.messages[-1]
    continues = last.role == "assistant" and all(block.type == "text" for block in last.content)
    wanted = body.output_config.format if body.output_config else None
    schema = {"name": "answer", "schema": wanted.schema_} if wanted else None
    chat: dict[str, Any] = {
        "model": body.model,
        "messages": messages,
        "max_tokens": body.max_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "stop": body.stop_sequences or None,
        "tools": [_tool(tool.model_dump()) for tool in body.tools or ()] or None,
        "response_format": {"type": "json_schema", "json_schema": schema} if schema else None,
        "continue_final_message": continues or None,
        "add_generation_prompt": False if continues else None,
        "reasoning_effort": _effort(body, info.capabilities.reasoning_efforts),
        **_tool_choice(body),
    }
    return {name: value for name, value in chat.items() if value is not None}


def _tool(tool: Mapping[str, Any]) -> JsonObject:
    function = {name: tool[name] for name in ("name", "description", "strict")}
    return {"type": "function", "function": function | {"parameters": tool["input_schema"]}}


def _tool_choice(body: MessagesBody) -> dict[str, Any]:
    choice = body.tool_choice
    if choice is None or not body.tools:
        return {}
    parallel = {"parallel_tool_calls": not choice.disable_parallel_tool_use}
    if choice.type != "tool":
        return {"tool_choice": choice.type, **parallel}
    if not choice.name:
        raise InvalidRequest("tool_choice.name", "is needed with the type tool")
    return {"tool_choice": {"type": "function", "function": {"name": choice.name}}}


def _effort(body: MessagesBody, known: Sequence[str]) -> str | None:
    """The model's setting for what was asked, where it has one: both fields only permit."""
    if body.thinking and body.thinking.type == "disabled":
        wanted = "none"
    elif body.output_config and body.output_config.effort:
        wanted = body.output_config.effort
    elif body.thinking:
        wanted = "high"
    else:
        return None
    return wanted if wanted in known else None


def _text(blocks: Sequence[TextBlock]) -> str:
    return "\n".join(block.text for block in blocks)
