"""Ollama's own API: ``/api/chat``, and ``/api/generate`` for raw prompts.

Its OpenAI form does not say what a model can do, sets no context length and names no reason for
loading; this one does. Translates both ways; knows no HTTP.
"""

import json
from typing import cast

from playground.backends.openai_compatible.body import as_json, sampling_body, tool_body
from playground.backends.openai_compatible.kinds import Kind
from playground.errors import InvalidRequest
from playground.protocol import Message, Request
from playground.protocol.json_types import JsonObject, object_at, objects_at, text_at

LOGPROBS_SINCE = (0, 12, 11)
"""The version of Ollama that reports log-probabilities."""


def ollama_body(
    request: Request, model: str, kind: Kind, context_length: int | None
) -> tuple[str, JsonObject]:
    """The path and the body, without ``stream``. Raises `InvalidRequest`."""
    options = sampling_body(request.sampling, kind)
    if context_length:
        options["num_ctx"] = context_length  # its default is far below what models can do
    body: JsonObject = {"model": model, "options": options}
    if request.response_format is not None:
        if request.response_format.kind != "schema":
            problem = f"Ollama takes JSON schemas, no format {request.response_format.kind!r}"
            raise InvalidRequest("response_format", problem)
        body["format"] = as_json(request.response_format.schema)
    if request.sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.sampling.logprobs}
    if request.prompt is not None:
        if not isinstance(request.prompt, str):
            raise InvalidRequest("prompt", "Ollama does not take prompts of token ids")
        return "/api/generate", body | {"prompt": request.prompt, "raw": True}
    if request.template_kwargs:
        raise InvalidRequest("chat_template_kwargs", "Ollama does not take them")
    body["messages"] = [*_messages(request.messages)]
    return "/api/chat", body | _tools(request)


def as_chunk(item: JsonObject) -> JsonObject:
    """A line of Ollama's stream as the chunk that OpenAI's API would send."""
    message = object_at(item, "message")
    delta: JsonObject = {
        "content": text_at(message, "content") or text_at(item, "response"),
        "reasoning_content": text_at(message, "thinking") or text_at(item, "thinking"),
        "tool_calls": [_call(call) for call in objects_at(message, "tool_calls")],
    }
    choice: JsonObject = {"delta": delta}
    scores = objects_at(item, "logprobs")
    if scores:
        choice["logprobs"] = {"content": [*scores]}
    chunk: JsonObject = {"choices": [choice]}
    if isinstance(item.get("error"), str):
        chunk["error"] = item["error"]
    if item.get("done") is True:
        choice["finish_reason"] = text_at(item, "done_reason") or "stop"
        prompt, completion = item.get("prompt_eval_count", 0), item.get("eval_count", 0)
        chunk["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
    return chunk


def _messages(messages: tuple[Message, ...]) -> list[JsonObject]:
    """Calls have their arguments as objects, and results the name of the function."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    bodies: list[JsonObject] = []
    for message in messages:
        body: JsonObject = {"role": message.role, "content": message.content}
        if message.reasoning:
            body["thinking"] = message.reasoning
        if message.tool_calls:
            body["tool_calls"] = [
                {"function": {"name": call.name, "arguments": json.loads(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            body["tool_name"] = names.get(message.tool_call_id or "", message.name or "")
        bodies.append(body)
    return bodies


def _tools(request: Request) -> JsonObject:
    choice = request.tool_choice
    if not request.tools or choice.mode == "none":
        return {}
    if choice.mode == "required":
        raise InvalidRequest("tool_choice", "Ollama cannot be made to call a function; use auto")
    tools = [tool for tool in request.tools if not choice.names or tool.name in choice.names]
    return {"tools": [tool_body(tool) for tool in tools]}


def _call(call: JsonObject) -> JsonObject:
    function = object_at(call, "function")
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    named: JsonObject = {"name": text_at(function, "name"), "arguments": text}
    return cast(JsonObject, {"id": text_at(call, "id"), "function": named})
