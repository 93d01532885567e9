"""``POST /v1/chat/completions``."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import envelope, finish, total_usage, whole_answers
from playground.api.connection import read_object, until_gone
from playground.api.logprobs import openai_logprobs, together_logprobs, top_logprobs
from playground.api.schemas import ChatBody
from playground.api.sse import Chunk, stream_events
from playground.api.translate import Asked, chat_requests, model_info, parse
from playground.modes.chat import Answer, stream_choices
from playground.protocol import Backend, Event, TokenLogprob, Usage


def chat_router(backend: Backend) -> APIRouter:
    """Chat completions, whole or streamed."""
    router = APIRouter()

    @router.post("/chat/completions")
    async def create(http: HttpRequest) -> Response:
        body = parse(ChatBody, await read_object(http))
        asked = chat_requests(body, backend)
        info = model_info(body.model, backend)
        first = asked.requests[0]
        if asked.stream:
            head = envelope("chat.completion.chunk", "chatcmpl", first, info)
            stream = ChatStream(head, asked, counted_logprobs=_counted(body))
            return await stream_events(http, stream_choices(backend, asked.requests), stream.chunks)
        answers = await until_gone(http.receive, whole_answers(backend, asked.requests))
        reply = envelope("chat.completion", "chatcmpl", first, info) | {
            "choices": [_choice(index, each, body) for index, each in enumerate(answers)],
            "usage": total_usage((each.usage for each in answers), asked.n),
            "prompt": [],  # Together's client requires it
        }
        return JSONResponse(reply)

    return router


def _counted(body: ChatBody) -> bool:
    """Whether log-probabilities were asked for as Together does, by a number."""
    return body.logprobs is not None and not isinstance(body.logprobs, bool)


def _choice(index: int, answer: Answer, body: ChatBody) -> dict[str, Any]:
    logprobs = None
    if body.logprobs is not None and body.logprobs is not False:
        shape = together_logprobs if _counted(body) else openai_logprobs
        logprobs = shape(answer.logprobs)
    return {
        "index": index,
        "message": {"role": "assistant", "content": answer.text, "refusal": None},
        "logprobs": logprobs,
        "finish_reason": finish(answer.finish_reason),
    }


@dataclass(slots=True)
class ChatStream:
    """Events of one or several choices as OpenAI's chunks.

    With ``counted_logprobs`` every token gets a chunk of its own, as Together's client reads them.
    """

    head: dict[str, Any]
    asked: Asked
    counted_logprobs: bool = False
    usages: dict[int, Usage] = field(default_factory=dict)

    async def chunks(self, events: AsyncIterator[tuple[int, Event]]) -> AsyncGenerator[Chunk, None]:
        """A first chunk with the role for each choice, the text, and the usage if asked for."""
        for index in range(len(self.asked.requests)):
            yield self._chunk(index, {"role": "assistant", "content": ""})
        async for index, event in events:
            for chunk in self._text_chunks(index, event):
                yield chunk
            if event.finish_reason:
                yield self._chunk(index, {}, finish_reason=finish(event.finish_reason))
            if event.usage:
                self.usages[index] = event.usage
        if self.asked.include_usage:
            usages = (self.usages[index] for index in sorted(self.usages))
            yield self.head | {"choices": [], "usage": total_usage(usages, self.asked.n)}

    def _text_chunks(self, index: int, event: Event) -> list[Chunk]:
        if event.logprobs and self.counted_logprobs:
            texts = [event.text] + [""] * (len(event.logprobs) - 1)
            return [
                self._token_chunk(index, text, token)
                for text, token in zip(texts, event.logprobs, strict=True)
            ]
        if not (event.text or event.logprobs):
            return []
        logprobs = openai_logprobs(event.logprobs) if event.logprobs else None
        return [self._chunk(index, {"content": event.text}, logprobs=logprobs)]

    def _token_chunk(self, index: int, text: str, token: TokenLogprob) -> Chunk:
        chunk = self._chunk(
            index, {"content": text, "token_id": token.token_id}, logprobs=token.logprob
        )
        chunk["choices"][0]["top_logprobs"] = top_logprobs(token)
        return chunk

    def _chunk(
        self, index: int, delta: dict[str, Any], *, logprobs: Any = None, finish_reason: Any = None
    ) -> Chunk:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self.head | {"choices": [choice]} | self._no_usage_yet()

    def _no_usage_yet(self) -> dict[str, None]:
        return {"usage": None} if self.asked.include_usage else {}
