"""What a server sends → `Delta`s and `Finished`: one reader for each answer. Knows no HTTP.

Reads OpenAI's chunks and whole answers, and what vLLM, Together and Mistral's platform put in other
places of them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from playground.backends.openai_compatible.expected import Expected
from playground.backends.openai_compatible.logprobs import prompt_logprobs, token_logprobs
from playground.backends.openai_compatible.problems import complaint_of, refusal
from playground.backends.openai_compatible.server import RemoteServer
from playground.errors import InvalidRequest, RequestFailed
from playground.protocol import (
    AnswerBuilder,
    CallDelta,
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    Provenance,
    Request,
    StreamEvent,
    Timings,
    ToolCall,
    Usage,
)
from playground.protocol.json_types import JsonObject, object_at, objects_at, text_at

REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "model_length": "length",
    "load": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "abort": "cancelled",
}


@dataclass(slots=True)
class _Call:
    """One call as it comes; some servers give its index only, others its id only."""

    index: int
    id: str
    has_arguments: bool = False


class AnswerReader:
    """Reads one answer: `push` each object of the stream, `finish` comes last.

    ``clock`` gives seconds; the answer's times are measured with it from here on.
    """

    def __init__(
        self, request: Request, expected: Expected, server: RemoteServer, began: float | None = None
    ) -> None:
        self._request = request
        self._expected = expected
        self._server = server
        self._echoes = (
            server.kind.prompt_logprobs == "echo" and request.sampling.prompt_logprobs is not None
        )
        self._began = time.monotonic() if began is None else began
        self._first: float | None = None
        self._pieces = 0
        self._usage: Usage | None = None
        self._reason = ""
        self._guarantee = ""
        self._calls: list[_Call] = []
        self._builder = AnswerBuilder()

    @property
    def has_ended(self) -> bool:
        """Whether the server said why the answer ends; its usage may come after that."""
        return bool(self._reason)

    def push(self, item: JsonObject) -> Iterator[StreamEvent]:
        """The events of one object. Raises the error that it may be instead."""
        self._check(item)
        scored = item.get("prompt_logprobs")
        self._take_usage(object_at(item, "usage"))
        for choice in objects_at(item, "choices"):
            scored = choice.get("prompt_logprobs") or scored
            if scored:
                yield Delta(prompt_logprobs=prompt_logprobs(scored))
                scored = None
            if self._echoes:
                self._reason = text_at(choice, "finish_reason") or self._reason
                yield Delta(prompt_logprobs=token_logprobs(choice, {}))
                continue
            yield from self._choice(choice)

    def finish(self) -> Finished:
        """The end. Raises `RequestFailed` where the stream broke off or the answer is unusable."""
        if not self._reason:
            raise RequestFailed(f"{self._server.alias}: the connection ended before the answer did")
        if self._reason not in REASONS:
            raise RequestFailed(f"{self._server.alias} ended the answer: {self._reason}")
        reason = REASONS[self._reason]
        guarantee: Guarantee | None = None
        if self._calls and reason in ("stop", "tool_calls"):
            reason = "tool_calls"
            guarantee = self._expected.of_calls(self._whole_calls())
        elif reason == "tool_calls":
            reason = "stop"
        if reason == "stop" and not self._calls:
            guarantee = self._expected.of_answer(self._builder.text)
        if guarantee == "checked" and self._guarantee == "strict":
            guarantee = "strict"  # another playground decoded it, and says so
        return self._end(reason, guarantee)

    def cancelled(self) -> Finished:
        """The end of an answer that is not wanted any more."""
        return self._end("cancelled", None)

    def _end(self, reason: FinishReason, guarantee: Guarantee | None) -> Finished:
        now = time.monotonic()
        first = now if self._first is None else self._first
        sampling = self._request.sampling
        return Finished(
            reason,
            self._usage or Usage(0, self._pieces),
            Timings(0.0, first - self._began, now - self._began),
            Provenance(settings=sampling.chosen(), seed=sampling.seed),
            guarantee=guarantee,
        )

    def _check(self, item: JsonObject) -> None:
        if "error" not in item and item.get("object") != "error":
            return
        error = refusal(self._server, complaint_of(item))
        if self._first is None and isinstance(error, InvalidRequest):
            raise error
        raise RequestFailed(error.message)

    def _choice(self, choice: JsonObject) -> Iterator[StreamEvent]:
        part = object_at(choice, "delta") or object_at(choice, "message")
        reasoning, text = _content(part)
        text += text_at(choice, "text") if not part else ""
        scores = token_logprobs(choice, part)
        calls = tuple(self._call_deltas(objects_at(part, "tool_calls")))
        self._guarantee = text_at(choice, "x_guarantee") or self._guarantee
        self._reason = text_at(choice, "finish_reason") or self._reason
        if text or reasoning or calls or scores:
            if self._first is None:
                self._first = time.monotonic()
            self._pieces += 1
            delta = Delta(text, calls, reasoning, scores, usage=self._usage)
            self._builder.add(delta)
            yield delta

    def _call_deltas(self, calls: Sequence[JsonObject]) -> Iterator[CallDelta]:
        """First a call's id and name, then its arguments."""
        for given in calls:
            function = object_at(given, "function")
            call, is_new = self._call_of(given)
            if is_new:
                yield CallDelta(call.index, call.id, text_at(function, "name"))
            arguments = text_at(function, "arguments")
            if arguments:
                call.has_arguments = True
                yield CallDelta(call.index, arguments=arguments)

    def _call_of(self, given: JsonObject) -> tuple[_Call, bool]:
        place, call_id = given.get("index"), text_at(given, "id")
        names_one = bool(text_at(object_at(given, "function"), "name"))
        for call in self._calls:
            same_id = call_id and call.id == call_id
            if same_id or (not names_one and place == call.index):
                return call, False
        if not names_one and not call_id and self._calls:
            return self._calls[-1], False
        index = len(self._calls)
        call = _Call(index, call_id or f"call{index:05}")
        self._calls.append(call)
        return call, True

    def _whole_calls(self) -> list[ToolCall]:
        names = self._builder.call_names
        whole = []
        for call in self._calls:
            arguments = self._builder.arguments_of(call.index)
            try:
                whole.append(ToolCall(call.id, names[call.index], arguments))
            except InvalidRequest as error:
                problem = f"the call of {names[call.index]!r} cannot be read: {error.problem}"
                raise RequestFailed(f"{self._server.alias}: {problem}") from error
        return whole

    def missing_arguments(self) -> Delta | None:
        """``{}`` for calls that came without arguments: some servers leave them out."""
        deltas = tuple(
            CallDelta(call.index, arguments="{}") for call in self._calls if not call.has_arguments
        )
        if not deltas:
            return None
        delta = Delta(calls=deltas)
        self._builder.add(delta)
        return delta

    def _take_usage(self, usage: JsonObject) -> None:
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(prompt, int) or not isinstance(completion, int):
            return
        cached = object_at(usage, "prompt_tokens_details").get("cached_tokens")
        self._usage = Usage(prompt, completion, cached if isinstance(cached, int) else 0)


def _content(part: JsonObject) -> tuple[str, str]:
    """Reasoning and text of a delta or message; Mistral's platform has them as chunks."""
    reasoning = text_at(part, "reasoning_content") or text_at(part, "reasoning")
    content = part.get("content")
    if not isinstance(content, list):
        return reasoning, content if isinstance(content, str) else ""
    text = ""
    for chunk in objects_at(part, "content"):
        if chunk.get("type") == "thinking":
            inner = objects_at(chunk, "thinking")
            reasoning += "".join(text_at(each, "text") for each in inner)
        else:
            text += text_at(chunk, "text")
    return reasoning, text
