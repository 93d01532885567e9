"""``POST /v1/chat/completions``."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import ChunkMaker, envelope, finish, total_usage, whole_answers
from playground.api.connection import read_object, until_gone
from playground.api.logprobs import finite, openai_logprobs, together_logprobs, top_logprobs
from playground.api.schemas import ChatBody
from playground.api.sse import Chunk, stream_events
from playground.api.translate import chat_requests, parse
from playground.modes.chat import Answer, stream_choices
from playground.protocol import Backend, Event, TokenLogprob


def chat_router(backend: Backend) -> APIRouter:
    """Chat completions, whole or streamed."""
    router = APIRouter()

    @router.post("/chat/completions")
    async def create(http: HttpRequest) -> Response:
        body = parse(ChatBody, await read_object(http))
        asked = chat_requests(body, backend)
        if asked.stream:
            maker = ChunkMaker(envelope("chat.completion.chunk", "chatcmpl", asked), asked)
            stream = ChatStream(maker, counted_logprobs=_counted(body))
            events = stream_choices(backend, asked.requests)
            return await stream_events(http, events, stream.chunks)
        answers = await until_gone(http.receive, whole_answers(backend, asked.requests))
        reply = envelope("chat.completion", "chatcmpl", asked) | {
            "choices": [_choice(index, each, body) for index, each in enumerate(answers)],
            "usage": total_usage([each.usage for each in answers], asked.n),
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


@dataclass(frozen=True, slots=True)
class ChatStream:
    """Events of one or several choices as OpenAI's chunks.

    With ``counted_logprobs`` every token gets a chunk of its own, as Together's client reads them.
    """

    maker: ChunkMaker
    counted_logprobs: bool = False

    async def chunks(self, events: AsyncIterator[tuple[int, Event]]) -> AsyncGenerator[Chunk, None]:
        """A first chunk with the role for each choice, the text, and the usage if asked for."""
        for index in range(len(self.maker.asked.requests)):
            yield self.maker.chunk(index, delta={"role": "assistant", "content": ""})
        async for index, event in events:
            for chunk in self._text_chunks(index, event):
                yield chunk
            if event.finish_reason:
                reason = finish(event.finish_reason)
                yield self.maker.chunk(index, delta={}, finish_reason=reason)
            self.maker.note_usage(index, event)
        for chunk in self.maker.last_chunks():
            yield chunk

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
        return [self.maker.chunk(index, delta={"content": event.text}, logprobs=logprobs)]

    def _token_chunk(self, index: int, text: str, token: TokenLogprob) -> Chunk:
        return self.maker.chunk(
            index,
            delta={"content": text, "token_id": token.token_id},
            logprobs=finite(token.logprob),
            top_logprobs=top_logprobs(token),
        )
