"""``POST /v1/chat/completions``."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import (
    ChunkMaker,
    envelope,
    extensions,
    finish,
    total_usage,
    whole_answers,
)
from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.errors import spelled
from playground.api.logprobs import finite, openai_logprobs, together_logprobs, top_logprobs
from playground.api.mistral import wants_whole_calls
from playground.api.openapi import json_body
from playground.api.parameters import CHAT
from playground.api.schemas import ChatBody
from playground.api.sse import Chunk, stream_events
from playground.api.stored_chat import kept_completion
from playground.api.together_client import is_together
from playground.api.translate import ParsedRequest, chat_requests, parse_body
from playground.protocol import (
    Answer,
    AnswerBuilder,
    Backend,
    CallDelta,
    Delta,
    Finished,
    StreamEvent,
    TokenLogprob,
    stream_choices,
)
from playground.store.completions import Completions


def chat_router(backend: Backend, completions: Completions | None = None) -> APIRouter:
    """Chat completions, whole or streamed; kept with ``store``, where there is a store."""
    router = APIRouter()

    @router.post("/chat/completions", openapi_extra=json_body(ChatBody, CHAT, streams=True))
    async def create(http: HttpRequest) -> Response:
        body = parse_body(ChatBody, await read_object(http))
        parsed = await chat_requests(body, backend)
        head = envelope("chat.completion", "chatcmpl", parsed)

        def keep(answers: Sequence[Answer]) -> dict[str, object]:
            reply = head | _reply(answers, body, parsed)
            if completions is not None and body.store:
                completions.keep(kept_completion(body, reply))
            return reply

        if parsed.stream:
            maker = ChunkMaker(head | {"object": "chat.completion.chunk"}, parsed)
            stream = ChatStream(
                maker,
                _counted(body),
                legacy=bool(body.functions),
                whole_calls=wants_whole_calls(http),
                usage_at_end=wants_whole_calls(http) or is_together(http),
                at_end=keep if body.store else None,
            )
            events = stream_choices(backend, parsed.requests)
            with spelled(parsed.spelling):
                return await stream_events(http, events, stream.chunks)
        with spelled(parsed.spelling):
            work = whole_answers(backend, parsed.requests)
            answers = await cancel_on_disconnect(http.receive, work)
        return JSONResponse(await asyncio.to_thread(keep, answers))

    return router


def _reply(answers: Sequence[Answer], body: ChatBody, parsed: ParsedRequest) -> dict[str, object]:
    return {
        "choices": [_choice(index, each, body) for index, each in enumerate(answers)],
        "usage": total_usage([result.usage for result in answers], parsed.n),
        "prompt": [],  # Together's client requires it
    }


def _counted(body: ChatBody) -> bool:
    """Whether log-probabilities were asked for in Together's way, as a number."""
    return body.logprobs is not None and not isinstance(body.logprobs, bool)


def _choice(index: int, answer: Answer, body: ChatBody) -> dict[str, object]:
    logprobs = None
    if body.logprobs is not None and body.logprobs is not False:
        shape = together_logprobs if _counted(body) else openai_logprobs
        logprobs = shape(answer.logprobs)
    return {
        "index": index,
        "message": _message(answer, legacy=bool(body.functions)),
        "logprobs": logprobs,
        "finish_reason": finish(answer.finish_reason, legacy=bool(body.functions)),
        **extensions(answer),
    }


def _message(answer: Answer, *, legacy: bool) -> dict[str, object]:
    """The message as a stream would have shown it: with a call that was cut, whose arguments may
    not be JSON and whose finish reason is ``length``, as OpenAI hands it out.

    ``legacy``: the client gave ``functions``, so it reads ``function_call``.
    """
    cut = (answer.cut_call,) if answer.cut_call else ()
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in (*answer.calls, *cut)
    ]
    content = answer.text or (None if calls else "")
    message: dict[str, object] = {"role": "assistant", "content": content, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if calls and legacy:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    return message


@dataclass(frozen=True, slots=True)
class ChatStream:
    """Events of one or several choices as OpenAI's chunks.

    With ``legacy`` a call is sent as ``function_call``.
    With ``counted_logprobs`` every token gets a chunk of its own, as Together's client reads them.
    With ``whole_calls`` a call comes in one piece, once the answer ends, as Mistral sends it.
    With ``usage_at_end`` the last choice to end brings the usage, as Mistral and Together send it
    unasked; a chunk without choices, which OpenAI sends if asked, breaks their clients.
    ``at_end`` gets the whole answers, before the last chunk.
    """

    maker: ChunkMaker
    counted_logprobs: bool = False
    legacy: bool = False
    whole_calls: bool = False
    usage_at_end: bool = False
    at_end: Callable[[Sequence[Answer]], object] | None = None

    async def chunks(
        self, events: AsyncIterator[tuple[int, StreamEvent]]
    ) -> AsyncGenerator[Chunk, None]:
        """A first chunk with the role for each choice, the text, and the usage if asked for."""
        builders = [AnswerBuilder() for _ in self.maker.parsed.requests]
        answers: dict[int, Answer] = {}
        for index in range(len(builders)):
            yield self.maker.chunk(index, delta={"role": "assistant", "content": ""})
        async for index, event in events:
            self.maker.note(index, event)
            if answer := builders[index].add(event):
                answers[index] = answer
                for chunk in self._whole_calls(index, answer):
                    yield chunk
            if isinstance(event, Finished):
                yield self._last_chunk(index, event)
                continue
            for chunk in self._delta_chunks(index, event):
                yield chunk
        if self.at_end:
            whole = [answers[index] for index in sorted(answers)]
            await asyncio.to_thread(self.at_end, whole)
        for chunk in self.maker.last_chunks():
            yield chunk

    def _last_chunk(self, index: int, finished: Finished) -> Chunk:
        reason = finish(finished.finish_reason, legacy=self.legacy)
        chunk = self.maker.chunk(index, delta={}, finish_reason=reason, **extensions(finished))
        ended = len(self.maker.usages) == len(self.maker.parsed.requests)
        if not (self.usage_at_end and ended) or self.maker.parsed.include_usage:
            return chunk
        return chunk | {"usage": self.maker.all_usage()}

    def _whole_calls(self, index: int, answer: Answer) -> list[Chunk]:
        if not self.whole_calls:
            return []
        cut = (answer.cut_call,) if answer.cut_call else ()
        return [
            self._call_chunk(index, CallDelta(place, call.id, call.name, call.arguments))
            for place, call in enumerate((*answer.calls, *cut))
        ]

    def _call_chunk(self, index: int, call: CallDelta) -> Chunk:
        """A piece of a call: id and name in the first one, then its arguments."""
        function: dict[str, object] = {"name": call.name} if call.name else {}
        function["arguments"] = call.arguments
        if self.legacy:
            return self.maker.chunk(index, delta={"function_call": function})
        first = {"id": call.id, "type": "function"} if call.name else {}
        piece = {"index": call.index, **first, "function": function}
        return self.maker.chunk(index, delta={"tool_calls": [piece]})

    def _delta_chunks(self, index: int, delta: Delta) -> list[Chunk]:
        if delta.calls and self.whole_calls:
            return []
        if delta.calls:
            return [self._call_chunk(index, call) for call in delta.calls]
        if delta.reasoning:
            logprobs = openai_logprobs(delta.logprobs) if delta.logprobs else None
            piece = {"reasoning_content": delta.reasoning}
            return [self.maker.chunk(index, delta=piece, logprobs=logprobs)]
        if delta.logprobs and self.counted_logprobs:
            texts = [delta.text] + [""] * (len(delta.logprobs) - 1)
            return [
                self._token_chunk(index, text, token)
                for text, token in zip(texts, delta.logprobs, strict=True)
            ]
        if not (delta.text or delta.logprobs):
            return []
        logprobs = openai_logprobs(delta.logprobs) if delta.logprobs else None
        return [self.maker.chunk(index, delta={"content": delta.text}, logprobs=logprobs)]

    def _token_chunk(self, index: int, text: str, token: TokenLogprob) -> Chunk:
        return self.maker.chunk(
            index,
            delta={"content": text, "token_id": token.token_id},
            logprobs=finite(token.logprob),
            top_logprobs=top_logprobs(token),
        )
