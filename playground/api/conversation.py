"""A body's messages in our terms: text parts, tool calls and results, in newer and older shapes."""

from collections.abc import Mapping, Sequence

from playground.api.schemas import MessageBody
from playground.errors import InvalidRequest
from playground.protocol import Message, Role, ToolCall

BETWEEN_PARTS = "\n"  # text parts of one message are its paragraphs
ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def messages_of(bodies: Sequence[MessageBody]) -> tuple[Message, ...]:
    """The conversation. Older clients give calls and results without ids (``function_call`` and the
    role ``function``): a result belongs to the call before it.
    """
    messages: list[Message] = []
    unnamed: ToolCall | None = None
    for index, body in enumerate(bodies):
        if body.role == "function":
            if unnamed is None or body.name != unnamed.name:
                raise InvalidRequest(
                    f"messages[{index}].name", f"no function_call of {body.name!r} is before it"
                )
            body = body.model_copy(update={"role": "tool", "tool_call_id": unnamed.id})
            unnamed = None
        message = _message(index, body)
        if body.function_call:
            unnamed = message.tool_calls[0]
        messages.append(message)
    return tuple(messages)


def _calls(index: int, body: MessageBody) -> tuple[ToolCall, ...]:
    calls = tuple(
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in body.tool_calls or ()
    )
    if body.function_call is None:
        return calls
    if calls:
        raise InvalidRequest("messages.function_call", "give it or tool_calls, not both")
    older = body.function_call
    return (ToolCall(f"call{index:05}", older.name, older.arguments),)


def _message(index: int, body: MessageBody) -> Message:
    place = f"messages[{index}]"
    called = body.tool_calls or body.function_call
    if body.content is None and not (body.role == "assistant" and called):
        raise InvalidRequest(f"{place}.content", "is needed, as text or a list of text parts")
    try:
        return Message(
            role=ROLES[body.role],
            content=BETWEEN_PARTS.join(part.text for part in body.content or ()),
            tool_calls=_calls(index, body),
            tool_call_id=body.tool_call_id,
            name=body.name,
        )
    except InvalidRequest as error:
        field = error.field.removeprefix("messages.")
        raise InvalidRequest(f"{place}.{field}", error.problem) from error
