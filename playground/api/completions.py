"""``POST /v1/completions``: raw text continuation, without a chat template."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import ChunkMaker, envelope, finish, total_usage, whole_answers
from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.logprobs import LegacyLogprobs
from playground.api.schemas import CompletionBody
from playground.api.sse import Chunk, stream_events
from playground.api.translate import ParsedRequest, completion_requests, parse_body
from playground.protocol import Answer, Backend, Finished, StreamEvent, stream_choices


def completion_router(backend: Backend) -> APIRouter:
    """Text completions, whole or streamed."""
    router = APIRouter()

    @router.post("/completions")
    async def create(http: HttpRequest) -> Response:
        body = parse_body(CompletionBody, await read_object(http))
        parsed = await completion_requests(body, backend)
        head = envelope("text_completion", "cmpl", parsed)
        echoes = _echoes(body, parsed)
        if parsed.stream:
            stream = CompletionStream(ChunkMaker(head, parsed), echoes)
            events = stream_choices(backend, parsed.requests)
            return await stream_events(http, events, stream.chunks)
        answers = await cancel_on_disconnect(http.receive, whole_answers(backend, parsed.requests))
        reply = head | {
            "choices": [
                _choice(index, echo, each, body)
                for index, (echo, each) in enumerate(zip(echoes, answers, strict=True))
            ],
            "usage": total_usage([result.usage for result in answers], parsed.n),
            # Together's client requires it, and looks for an echoed prompt there.
            "prompt": [{"text": echo, "logprobs": None} for echo in echoes[:: parsed.n] if echo],
        }
        return JSONResponse(reply)

    return router


def _echoes(body: CompletionBody, parsed: ParsedRequest) -> list[str]:
    """The prompt to repeat at the beginning of each choice; empty without ``echo``."""
    prompts = [request.prompt for request in parsed.requests]
    return [prompt if body.echo and isinstance(prompt, str) else "" for prompt in prompts]


def _choice(index: int, echo: str, answer: Answer, body: CompletionBody) -> dict[str, object]:
    asked_for = body.logprobs is not None
    return {
        "index": index,
        "text": echo + answer.text,
        "logprobs": LegacyLogprobs().push(answer.logprobs) if asked_for else None,
        "finish_reason": finish(answer.finish_reason),
    }


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """Events of one or several choices as OpenAI's chunks of text."""

    maker: ChunkMaker
    echoes: list[str]

    async def chunks(
        self, events: AsyncIterator[tuple[int, StreamEvent]]
    ) -> AsyncGenerator[Chunk, None]:
        """The echoed prompts, the text, and the usage if asked for."""
        logprobs = [LegacyLogprobs() for _ in self.echoes]
        for index, echo in enumerate(self.echoes):
            if echo:
                yield self.maker.chunk(index, text=echo)
        async for index, event in events:
            if isinstance(event, Finished):
                reason = finish(event.finish_reason)
                yield self.maker.chunk(index, text="", finish_reason=reason)
                self.maker.note_usage(index, event.usage)
                continue
            scores = logprobs[index].push(event.logprobs) if event.logprobs else None
            if event.text or scores:
                yield self.maker.chunk(index, text=event.text, logprobs=scores)
        for chunk in self.maker.last_chunks():
            yield chunk
