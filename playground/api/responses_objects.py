"""The response object of OpenAI's Responses API, and its items."""

import time
from collections.abc import Mapping

from playground.api.answers import extensions
from playground.api.logprobs import openai_logprobs
from playground.api.prompt_reference import NO_PROMPT, UsedPrompt
from playground.api.responses_schemas import ResponsesBody
from playground.api.responses_translate import RESPONSE_ID
from playground.api.translate import ParsedRequest
from playground.protocol import Answer, CallDelta, ToolCall, Usage
from playground.store.responses import Item

COMPLETED, INCOMPLETE, IN_PROGRESS = "completed", "incomplete", "in_progress"


class ResponseShape:
    """Makes the objects of one response.

    Ids of items hold that of their response, so that a reference to one finds it.
    """

    def __init__(
        self,
        body: ResponsesBody,
        parsed: ParsedRequest,
        *,
        stored: bool,
        prompt: UsedPrompt = NO_PROMPT,
    ) -> None:
        self._body = body
        self._prompt = prompt.shown
        self._parsed = parsed
        self._stored = stored
        self._created = int(time.time())
        self._hex = parsed.requests[0].id

    @property
    def id(self) -> str:
        """The response's id."""
        return f"{RESPONSE_ID}{self._hex}"

    @property
    def shows_logprobs(self) -> bool:
        """Whether the text comes with its tokens' log-probabilities."""
        return self._body.wants_logprobs

    def item_id(self, prefix: str, place: int) -> str:
        """The id of an item: ``msg``, ``fc`` or ``rs`` with its place in the output."""
        return f"{prefix}_{self._hex}_{place}"

    def response(self, status: str, answer: Answer | None = None) -> Item:
        """The response as it stands; the answer once there is one."""
        body, sampling = self._body, self._parsed.requests[0].sampling
        limit = {"reason": "max_output_tokens"} if status == INCOMPLETE else None
        text = body.text.model_dump(by_alias=True, exclude_none=True) if body.text else {}
        reasoning = body.reasoning
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "completed_at": int(time.time()) if status == COMPLETED else None,
            "status": status,
            "background": False,
            **({"conversation": {"id": body.conversation_id}} if body.conversation_id else {}),
            "error": None,
            "incomplete_details": limit,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": self._parsed.info.name,
            "output": self.items(answer) if answer else [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": body.previous_response_id,
            "prompt": self._prompt,
            "reasoning": {"effort": reasoning.effort if reasoning else None, "summary": None},
            "store": self._stored,
            "temperature": sampling.temperature,
            "text": {"format": {"type": "text"}, **text},
            "tool_choice": _dumped(body.tool_choice) or "auto",
            "tools": [_dumped(tool) for tool in body.tools or ()],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": sampling.top_p,
            "truncation": "disabled",
            "usage": _usage(answer.usage) if answer else None,
            **(extensions(answer) if answer else {}),
        }

    def finished(self, answer: Answer) -> Item:
        """The response at its end."""
        return self.response(INCOMPLETE if answer.finish_reason == "length" else COMPLETED, answer)

    def items(self, answer: Answer) -> list[Item]:
        """The output: reasoning, text, calls; a call that was cut is incomplete."""
        items: list[Item] = []
        last = INCOMPLETE if answer.finish_reason == "length" else COMPLETED
        cut = (answer.cut_call,) if answer.cut_call else ()
        calls: tuple[ToolCall | CallDelta, ...] = (*answer.calls, *cut)
        if answer.reasoning:
            only = not (answer.text or calls)
            items.append(self.reasoning(answer.reasoning, last if only else COMPLETED))
        if answer.text or not calls:
            part = text_part(answer.text)
            if self._body.wants_logprobs:
                part["logprobs"] = openai_logprobs(answer.logprobs)["content"]
            items.append(self.message(len(items), [part], COMPLETED if calls else last))
        for call in calls:
            is_cut = call is answer.cut_call
            described = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
            status = INCOMPLETE if is_cut else COMPLETED
            items.append(self.call(len(items), described, status))
        return items

    def reasoning(self, text: str, status: str) -> Item:
        """What the model wrote before its answer; always the first item."""
        content = [{"type": "reasoning_text", "text": text}] if text else []
        return {
            "id": self.item_id("rs", 0), "type": "reasoning", "status": status, "summary": [],
            "content": content,
        }  # fmt: skip

    def message(self, place: int, content: list[Item], status: str) -> Item:
        """The answer's text."""
        return {
            "id": self.item_id("msg", place), "type": "message", "role": "assistant",
            "status": status, "content": content,
        }  # fmt: skip

    def call(self, place: int, call: Mapping[str, str], status: str) -> Item:
        """A call of a function."""
        return {
            "id": self.item_id("fc", place), "type": "function_call", "status": status, **call,
        }  # fmt: skip

    def input_items(self) -> list[Item]:
        """The request's own items, with ids."""
        return [
            item.model_dump(exclude_none=True, exclude_unset=True)
            | {"type": item.type, "id": item.id or self.item_id("in", place)}
            for place, item in enumerate(self._body.input)
        ]


def text_part(text: str) -> Item:
    """A message's text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> Item:
    """Reasoning is among the output's tokens and not counted apart."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }


def _dumped(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump() if dump else value
