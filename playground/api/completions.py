"""``POST /v1/completions``: raw text continuation, without a chat template."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
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
from playground.api.logprobs import LegacyLogprobs, together_logprobs
from playground.api.openapi import json_body
from playground.api.parameters import COMPLETION
from playground.api.schemas import CompletionBody
from playground.api.sse import Chunk, stream_events
from playground.api.translate import ParsedRequest, completion_requests, parse_body
from playground.protocol import (
    Answer,
    Backend,
    Finished,
    StreamEvent,
    TokenLogprob,
    stream_choices,
)


def completion_router(backend: Backend) -> APIRouter:
    """Text completions, whole or streamed."""
    router = APIRouter()

    @router.post("/completions", openapi_extra=json_body(CompletionBody, COMPLETION, streams=True))
    async def create(http: HttpRequest) -> Response:
        body = parse_body(CompletionBody, await read_object(http))
        parsed = await completion_requests(body, backend)
        head = envelope("text_completion", "cmpl", parsed)
        echo = Echo(body, parsed)
        if parsed.stream:
            stream = CompletionStream(ChunkMaker(head, parsed), echo)
            events = stream_choices(backend, parsed.requests)
            with spelled(parsed.spelling):
                return await stream_events(http, events, stream.chunks)
        with spelled(parsed.spelling):
            work = whole_answers(backend, parsed.requests)
            answers = await cancel_on_disconnect(http.receive, work)
        reply = head | {
            "choices": [_choice(index, each, echo) for index, each in enumerate(answers)],
            "usage": total_usage([result.usage for result in answers], parsed.n),
            # Together's client requires it, and looks for an echoed prompt there.
            "prompt": [
                echo.together(index, answers[index].prompt_logprobs)
                for index in range(0, len(answers), parsed.n)
                if body.echo
            ],
        }
        return JSONResponse(reply)

    return router


@dataclass(frozen=True, slots=True)
class Echo:
    """The prompts to repeat at the beginning of each choice, if ``echo`` asks for them."""

    body: CompletionBody
    parsed: ParsedRequest

    def is_scored(self, index: int) -> bool:
        """Whether the backend gives the prompt's tokens."""
        return self.parsed.requests[index].sampling.prompt_logprobs is not None

    def text(self, index: int, tokens: Sequence[TokenLogprob]) -> str:
        """The prompt's text; that of token ids is their own."""
        prompt = self.parsed.requests[index].prompt
        if not self.body.echo:
            return ""
        if isinstance(prompt, str):
            return prompt
        return b"".join(token.utf8 for token in tokens).decode("utf-8", "replace")

    def together(self, index: int, tokens: Sequence[TokenLogprob]) -> dict[str, object]:
        """The prompt in Together's place for it."""
        logprobs = together_logprobs(tokens) if self.body.logprobs is not None else None
        return {"text": self.text(index, tokens), "logprobs": logprobs}


def _choice(index: int, answer: Answer, echo: Echo) -> dict[str, object]:
    logprobs = None
    if echo.body.logprobs is not None:
        logprobs = LegacyLogprobs().push([*answer.prompt_logprobs, *answer.logprobs])
    return {
        "index": index,
        "text": echo.text(index, answer.prompt_logprobs) + answer.text,
        "logprobs": logprobs,
        "finish_reason": finish(answer.finish_reason),
        **extensions(answer),
    }


@dataclass(frozen=True, slots=True)
class CompletionStream:
    """Events of one or several choices as OpenAI's chunks of text."""

    maker: ChunkMaker
    echo: Echo

    async def chunks(
        self, events: AsyncIterator[tuple[int, StreamEvent]]
    ) -> AsyncGenerator[Chunk, None]:
        """The echoed prompts, the text, and the usage if asked for."""
        choices = range(len(self.maker.parsed.requests))
        logprobs = [LegacyLogprobs() for _ in choices]
        for index in choices:
            text = "" if self.echo.is_scored(index) else self.echo.text(index, ())
            if text:
                yield self.maker.chunk(index, text=text)
        async for index, event in events:
            self.maker.note(index, event)
            if isinstance(event, Finished):
                reason = finish(event.finish_reason)
                yield self.maker.chunk(index, text="", finish_reason=reason, **extensions(event))
                continue
            tokens = [*event.prompt_logprobs, *event.logprobs]
            shown = tokens and self.echo.body.logprobs is not None
            scores = logprobs[index].push(tokens) if shown else None
            text = event.text
            if event.prompt_logprobs:
                text = self.echo.text(index, event.prompt_logprobs) + text
            if text or scores:
                yield self.maker.chunk(index, text=text, logprobs=scores)
        for chunk in self.maker.last_chunks():
            yield chunk
