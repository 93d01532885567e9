"""`Request` → the body of ``/chat/completions`` or ``/completions`` in a server's dialect.

What the dialect lacks is refused with the field and the reason. Knows no HTTP.
"""

import dataclasses
import hashlib
import json
from typing import cast

from playground.backends.openai_compatible.kinds import Kind
from playground.errors import InvalidRequest
from playground.protocol import ANY_OBJECT, Message, Request, ResponseFormat, Sampling, Tool
from playground.protocol.json_types import Json, JsonObject

ID_CHARACTERS = 9  # of a call's id on Mistral's platform
SCHEMA_NAME = "answer"


def chat_body(request: Request, model: str, kind: Kind) -> JsonObject:
    """The body of a chat completion, without ``stream``. Raises `InvalidRequest`."""
    body: JsonObject = {
        "model": model,
        "messages": [message_body(message, kind) for message in request.messages],
    }
    body |= sampling_body(request.sampling, kind)
    body |= _tools(request, kind)
    body |= format_body(request.response_format, kind)
    if request.continue_final:
        body |= _continuation(kind)
    if request.template_kwargs:
        if not kind.template_kwargs:
            raise _lacks("chat_template_kwargs", kind, "variables of the chat template")
        body["chat_template_kwargs"] = as_json(request.template_kwargs)
    if request.reasoning_effort:
        body["reasoning_effort"] = request.reasoning_effort
    if request.sampling.logprobs is not None:
        body["logprobs"] = True if kind.format_style != "together" else 1
        body["top_logprobs"] = request.sampling.logprobs
    return body


def completion_body(request: Request, model: str, kind: Kind) -> JsonObject:
    """The body of a text completion, without ``stream``. Raises `InvalidRequest`."""
    prompt = request.prompt
    needed = "text" if isinstance(prompt, str) else "tokens"
    if prompt is None or needed not in kind.prompts:
        what = "raw prompts" if needed == "text" else "prompts of token ids"
        raise _lacks("prompt", kind, what)
    body: JsonObject = {
        "model": model,
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
    }
    body |= sampling_body(request.sampling, kind)
    body |= format_body(request.response_format, kind)
    if request.sampling.logprobs is not None:
        body["logprobs"] = request.sampling.logprobs
    return body


def sampling_body(sampling: Sampling, kind: Kind) -> JsonObject:
    """The sampling parameters. Raises `InvalidRequest` for a chosen one that the dialect lacks."""
    body: JsonObject = {}
    for parameter in dataclasses.fields(sampling):
        name, value = parameter.name, getattr(sampling, parameter.name)
        if name == "logprobs":
            continue
        if name == "prompt_logprobs":
            body |= _prompt_logprobs(sampling, kind)
            continue
        default = {} if name == "logit_bias" else parameter.default
        if value == default and name not in kind.always:
            continue
        if name in kind.sampling:
            body[kind.sampling[name]] = as_json(value)
        elif value != default:
            raise _lacks(name, kind, "this parameter")
    return body


def _prompt_logprobs(sampling: Sampling, kind: Kind) -> JsonObject:
    wanted = sampling.prompt_logprobs
    if wanted is None:
        return {}
    if not kind.prompt_logprobs:
        raise _lacks("prompt_logprobs", kind, "log-probabilities of the prompt")
    if kind.prompt_logprobs == "vllm":
        return {"prompt_logprobs": wanted}
    if sampling.max_tokens != 0:
        raise _lacks("prompt_logprobs", kind, "log-probabilities of the prompt beside an answer")
    return {"echo": True, "logprobs": wanted}


def message_body(message: Message, kind: Kind) -> JsonObject:
    """A message as the dialect has it."""
    body = cast(JsonObject, message.to_openai())
    if not kind.reasoning_history:
        body.pop("reasoning_content", None)
    if kind.short_call_ids:
        for call in message.tool_calls:
            listed = cast(list[JsonObject], body["tool_calls"])
            listed[message.tool_calls.index(call)]["id"] = short_id(call.id)
        if message.tool_call_id:
            body["tool_call_id"] = short_id(message.tool_call_id)
    return body


def short_id(call_id: str) -> str:
    """A call's id as Mistral's platform wants it: nine letters and digits, always the same."""
    if len(call_id) == ID_CHARACTERS and call_id.isascii() and call_id.isalnum():
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:ID_CHARACTERS]


def tool_body(tool: Tool) -> JsonObject:
    """A function as OpenAI's API has it."""
    body = cast(JsonObject, tool.to_openai())
    if tool.strict:
        cast(JsonObject, body["function"])["strict"] = True
    return body


def as_json(value: object) -> Json:
    """The value as JSON has it: tuples as lists, keys as text."""
    return cast(Json, json.loads(json.dumps(value)))


def format_body(form: ResponseFormat | None, kind: Kind) -> JsonObject:
    """The fields that ask for a response format. Raises `InvalidRequest`."""
    if form is None:
        return {}
    if form.kind not in kind.formats:
        raise _lacks("response_format", kind, f"answers of the format {form.kind!r}")
    if form.kind == "schema":
        return {"response_format": _schema(form, kind)}
    if kind.format_style == "vllm":
        wanted: Json = list(form.choices) if form.kind == "choice" else form.pattern
        return {"structured_outputs": {form.kind: wanted}}
    if kind.format_style == "together":
        return {"response_format": {"type": "regex", "pattern": form.pattern}}
    if form.kind == "choice":
        texts = " | ".join(json.dumps(text, ensure_ascii=False) for text in form.choices)
        return {"grammar": f"root ::= {texts}"}
    if "::=" not in form.pattern:
        raise InvalidRequest("response_format", f"{kind.title} reads grammars in GBNF: root ::= …")
    return {"grammar": form.pattern}


def _schema(form: ResponseFormat, kind: Kind) -> JsonObject:
    if form.schema == ANY_OBJECT.schema and not form.strict:
        return {"type": "json_object"}
    if kind.format_style == "llama.cpp":
        return {"type": "json_object", "schema": as_json(form.schema)}
    named: JsonObject = {"name": form.name or SCHEMA_NAME, "schema": as_json(form.schema)}
    if form.description:
        named["description"] = form.description
    if form.strict:
        named["strict"] = True
    return {"type": "json_schema", "json_schema": named}


def _tools(request: Request, kind: Kind) -> JsonObject:
    choice = request.tool_choice
    if not request.tools or choice.mode == "none":
        return {}
    tools = [tool for tool in request.tools if not choice.names or tool.name in choice.names]
    body: JsonObject = {"tools": [tool_body(tool) for tool in tools]}
    if choice.mode == "required":
        if not kind.forced_call:
            raise _lacks("tool_choice", kind, "calls that must be made; use auto")
        body["tool_choice"] = kind.forced_call
        if len(choice.names) == 1 and kind.names_call:
            body["tool_choice"] = {"type": "function", "function": {"name": choice.names[0]}}
    else:
        body["tool_choice"] = "auto"
    if not choice.parallel:
        body["parallel_tool_calls"] = False
    return body


def _continuation(kind: Kind) -> JsonObject:
    if not kind.continuation:
        raise _lacks("messages", kind, "an answer that goes on from an assistant's message")
    if kind.continuation == "last":
        return {}
    return {"add_generation_prompt": False, "continue_final_message": True}


def _lacks(field: str, kind: Kind, what: str) -> InvalidRequest:
    return InvalidRequest(field, f"{kind.title} does not take {what}")
