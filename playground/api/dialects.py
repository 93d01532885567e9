"""What Mistral's and vLLM's clients ask of a conversation, beside its messages."""

from dataclasses import replace

from playground.api.schemas import ChatBody
from playground.errors import InvalidRequest
from playground.protocol import Message

SAFE_PROMPT = (
    "Always assist with care, respect, and truth. Respond with utmost utility yet securely. Avoid "
    "harmful, unethical, prejudiced, or negative content. Ensure replies promote fairness and "
    "positivity."
)
"""Mistral's, https://docs.mistral.ai/capabilities/guardrailing (system prompt guardrails)."""


def guarded(body: ChatBody, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation behind Mistral's guardrail, where ``safe_prompt`` asks for it."""
    if not body.safe_prompt:
        return messages
    if messages and messages[0].role == "system":
        content = f"{SAFE_PROMPT}\n\n{messages[0].content}"
        return (replace(messages[0], content=content), *messages[1:])
    return (Message("system", SAFE_PROMPT), *messages)


def continues_final(body: ChatBody) -> bool:
    """Whether the last message, the assistant's, is to be continued. Raises `InvalidRequest`."""
    last = body.messages[-1] if body.messages else None
    if body.continue_final_message and body.add_generation_prompt:
        raise InvalidRequest(
            "continue_final_message", "add_generation_prompt asks for a new message; set it false"
        )
    for name, asks in (
        ("continue_final_message", body.continue_final_message is True),
        ("add_generation_prompt", body.add_generation_prompt is False),
    ):
        if asks and (last is None or last.role != "assistant"):
            value = str(name == "continue_final_message").lower()
            raise InvalidRequest(
                name, f"{value} continues a last message of the assistant, and there is none"
            )
        if asks:
            return True
    return last is not None and last.prefix is True
