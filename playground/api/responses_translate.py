"""From the body of a response to that of a chat completion, so that both are one call.

Items become messages: reasoning, text and calls of one answer are one message of the assistant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from playground.api.errors import Refused, spelled
from playground.api.prompt_reference import NO_PROMPT, UsedPrompt
from playground.api.responses_schemas import (
    AllowedFunctions,
    ContentPart,
    InputItem,
    NamedFunctionChoice,
    ResponsesBody,
)
from playground.api.schemas import ChatBody
from playground.api.translate import ParsedRequest, chat_requests
from playground.errors import InvalidRequest, UnknownConversation, UnknownResponse
from playground.protocol import Backend
from playground.protocol.json_types import JsonObject
from playground.store.conversation_types import Conversation
from playground.store.conversations import Conversations
from playground.store.responses import Item, Responses

NO_NAMES: Mapping[str, str] = {}
SPELLING = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "messages": "input",
}
"""Chat's names of fields by those of a response."""
RESPONSE_ID = "resp_"


async def response_request(
    body: ResponsesBody,
    backend: Backend,
    responses: Responses | None,
    prompt: UsedPrompt = NO_PROMPT,
    conversations: Conversations | None = None,
) -> ParsedRequest:
    """Return the one request of a response; a prompt's messages are before all others but the
    instructions. Raises what `chat_requests` raises, `Refused` for a previous response or a
    referenced item that is not stored, and `UnknownConversation`."""
    conversation = _conversation(body, conversations)
    before = previous_items(body, responses)
    if conversation:
        before = [each.to_openai() for each in conversation.path()]
    items = [InputItem.model_validate(item) for item in before]
    items += [_resolved(item, responses) for item in body.input]
    messages = [*prompt.messages, *_messages(items)]
    instructions = body.instructions or (conversation.system if conversation else "")
    if instructions:
        messages.insert(0, {"role": "system", "content": instructions})
    if not messages:
        raise InvalidRequest("input", "is needed, as text or a list of items")
    chat = ChatBody.model_validate(prompt.settings | _chat(body, messages))
    with spelled(_names(body)):
        parsed = await chat_requests(chat, backend)
    counted = [
        replace(
            request,
            conversation=body.conversation_id or "",
            prompt_version=prompt.reference,
        )
        for request in parsed.requests
    ]
    return replace(parsed, requests=tuple(counted))


def names_of(body: ResponsesBody, parsed: ParsedRequest) -> dict[str, str]:
    """How the client spells the fields that an answer's error may name."""
    return {**parsed.spelling, **_names(body)}


def previous_items(body: ResponsesBody, responses: Responses | None) -> list[Item]:
    """The items of the responses that this one goes on from."""
    previous = body.previous_response_id
    if previous is None:
        return []
    try:
        if responses is None:
            raise UnknownResponse(previous)
        return responses.conversation(previous)
    except UnknownResponse:
        name = "previous_response_id"
        problem = f"Previous response with id '{previous}' not found."
        raise Refused(400, "previous_response_not_found", problem, name) from None


def _conversation(body: ResponsesBody, kept: Conversations | None) -> Conversation | None:
    """The conversation that is gone on with, up to its head."""
    wanted = body.conversation_id
    if wanted is None:
        return None
    if body.previous_response_id is not None:
        raise InvalidRequest("conversation", "and previous_response_id exclude each other")
    try:
        if kept is None:
            raise UnknownConversation(wanted)
        return kept.find(wanted)
    except UnknownConversation as error:
        error.field = "conversation"
        raise


def _names(body: ResponsesBody) -> dict[str, str]:
    tools = {
        f"tools[{place}].function.{field}": f"tools[{place}].{field}"
        for place in range(len(body.tools or ()))
        for field in ("name", "parameters", "strict")
    }
    return {**SPELLING, **tools}


def _resolved(item: InputItem, responses: Responses | None) -> InputItem:
    """The item that a reference stands for; its id begins with that of its response."""
    if item.type != "item_reference":
        return item
    wanted = item.id or ""
    response_id = RESPONSE_ID + wanted.partition("_")[2].partition("_")[0]
    try:
        if responses is None:
            raise UnknownResponse(response_id)
        output = responses.find(response_id).output
    except UnknownResponse:
        output = []
    for stored in output:
        if stored.get("id") == wanted:
            return InputItem.model_validate(stored)
    raise Refused(400, "item_not_found", f"Item with id '{wanted}' not found.", "input")


def _messages(items: Sequence[InputItem]) -> list[JsonObject]:
    messages: list[JsonObject] = []
    answer: dict[str, Any] | None = None  # the assistant's message that is being put together
    for place, item in enumerate(items):
        if item.type == "message" and item.role != "assistant":
            if item.role is None:
                raise InvalidRequest(f"input[{place}].role", "is needed of a message")
            messages.append({"role": item.role, "content": _text(item.content)})
            answer = None
        elif item.type == "function_call_output":
            messages.append(_result(place, item))
            answer = None
        else:
            if answer is None or _begins_anew(answer, item):
                answer = {"role": "assistant"}
                messages.append(answer)
            _add(answer, place, item)
    return messages


def _begins_anew(answer: Mapping[str, object], item: InputItem) -> bool:
    """Whether an item cannot belong to the answer so far: reasoning is first, then text, then
    calls."""
    if item.type == "function_call":
        return False
    return "tool_calls" in answer or "content" in answer


def _add(answer: dict[str, Any], place: int, item: InputItem) -> None:
    if item.type == "reasoning":
        answer["reasoning_content"] = _text(item.content) or _text(item.summary)
    elif item.type == "message":
        answer["content"] = _text(item.content)
    elif not (item.call_id and item.name):
        missing = "name" if item.call_id else "call_id"
        raise InvalidRequest(f"input[{place}].{missing}", "is needed of a function_call")
    else:
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        answer.setdefault("tool_calls", []).append(call)


def _result(place: int, item: InputItem) -> JsonObject:
    if not item.call_id:
        raise InvalidRequest(f"input[{place}].call_id", "is needed of a function_call_output")
    return {"role": "tool", "tool_call_id": item.call_id, "content": _text(item.output)}


def _text(parts: Iterable[ContentPart] | None) -> str:
    return "\n".join(part.text or part.refusal for part in parts or ())


def _chat(body: ResponsesBody, messages: list[JsonObject]) -> JsonObject:
    """The body of the same chat completion."""
    chat: dict[str, Any] = {
        "model": body.model,
        "messages": messages,
        "max_completion_tokens": body.max_output_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "parallel_tool_calls": body.parallel_tool_calls,
        "reasoning_effort": body.reasoning.effort if body.reasoning else None,
        "tools": [_tool(tool.model_dump(exclude={"type"})) for tool in body.tools or ()] or None,
        "tool_choice": _tool_choice(body),
        "response_format": _format(body),
    }
    if body.wants_logprobs or body.top_logprobs:
        chat |= {"logprobs": True, "top_logprobs": body.top_logprobs}
    return {name: value for name, value in chat.items() if value is not None}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": function}


def _tool_choice(body: ResponsesBody) -> object:
    choice = body.tool_choice
    if isinstance(choice, NamedFunctionChoice):
        return _tool({"name": choice.name})
    if isinstance(choice, AllowedFunctions):
        tools = [_tool({"name": tool.name}) for tool in choice.tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return choice


def _format(body: ResponsesBody) -> object:
    wanted = body.text.format if body.text else None
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "json_object"}
    if wanted.schema_ is None:
        name = "text.format.schema"
        raise Refused(400, "missing_required_parameter", f"{name}: this field is required", name)
    named = wanted.model_dump(by_alias=True, exclude={"type"})
    return {"type": "json_schema", "json_schema": named}
