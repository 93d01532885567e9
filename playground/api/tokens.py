"""``POST /v1/tokens/…``: inside a token. Our own endpoints: how likely each token of a text or an
answer is, an answer that goes on with another token, and the prompt as the model is given it."""

from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request as HttpRequest

from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.logprobs import openai_logprobs
from playground.api.openapi import json_body
from playground.api.schemas import Body, ChatBody
from playground.api.translate import chat_requests, model_info
from playground.errors import InvalidRequest
from playground.lab.tokens import (
    ALTERNATIVES,
    Fork,
    Scored,
    fork,
    rendered_prompt,
    score_answer,
    score_text,
)
from playground.protocol import AnswerBuilder, Backend, Request
from playground.protocol.request import MAX_TOP_LOGPROBS


class PromptBody(Body):
    """Messages, with what else decides how they are rendered."""

    model: str | None = None
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = None


class ScoreBody(Body):
    """A text, or messages of which the last one is the answer to score."""

    model: str | None = None
    text: str | None = None
    messages: list[dict[str, Any]] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] = ALTERNATIVES


class ForkBody(Body):
    """Messages of which the last one is the answer, and another token at a position of it."""

    model: str | None = None
    messages: list[dict[str, Any]]
    position: int
    token_id: int
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


def tokens_router(backend: Backend) -> APIRouter:
    """Prompts, scores and forks."""
    router = APIRouter(prefix="/tokens")

    @router.post("/prompt", openapi_extra=json_body(PromptBody))
    async def prompt(http: HttpRequest) -> dict[str, object]:
        body = PromptBody.model_validate(await read_object(http))
        given = {"messages": body.messages, "tools": body.tools, "max_tokens": body.max_tokens}
        request = await _request(body.model, given, backend)
        shown = await rendered_prompt(backend, request)
        return {
            "object": "prompt",
            "model": request.model,
            "count": shown.count,
            "max_model_len": shown.context_length,
            "room": shown.room,
            "cut": shown.cut or None,
            "parts": [{"name": part.name, "tokens": part.tokens} for part in shown.parts],
            "tokens": [
                {"ids": list(each.ids), "text": each.text, "control": each.control}
                for each in shown.tokens
            ],
        }

    @router.post("/score", openapi_extra=json_body(ScoreBody))
    async def score(http: HttpRequest) -> dict[str, object]:
        body = ScoreBody.model_validate(await read_object(http))
        if (body.text is None) == (body.messages is None):
            raise InvalidRequest("text", "give it or messages, one of them")
        if body.messages is None:
            name = await _model(body.model, backend)
            work = score_text(backend, name, body.text or "", body.top_logprobs)
        else:
            request, answer = await _answered(body.model, {"messages": body.messages}, backend)
            work = score_answer(backend, request, answer, body.top_logprobs)
        scored = await cancel_on_disconnect(http.receive, work)
        return {
            "object": "token_scores",
            "count": len(scored.tokens),
            "perplexity": scored.perplexity,
            "bits_per_byte": scored.bits_per_byte,
            "tokens": _tokens(scored),
        }

    @router.post("/fork", openapi_extra=json_body(ForkBody))
    async def go_on(http: HttpRequest) -> dict[str, object]:
        body = ForkBody.model_validate(await read_object(http))
        given = {
            "messages": body.messages,
            "temperature": body.temperature,
            "max_tokens": body.max_tokens,
            "seed": body.seed,
        }
        request, answer = await _answered(body.model, given, backend)
        chosen = Fork(body.position, body.token_id)
        return await cancel_on_disconnect(http.receive, _forked(backend, request, answer, chosen))

    return router


async def _forked(
    backend: Backend, request: Request, answer: str, chosen: Fork
) -> dict[str, object]:
    builder = AnswerBuilder()
    async with aclosing(fork(backend, request, answer, chosen)) as events:
        async for event in events:
            done = builder.add(event)
            if done:
                usage = done.usage
                return {
                    "object": "fork",
                    "model": request.model,
                    "message": {"role": "assistant", "content": done.text},
                    "finish_reason": done.finish_reason,
                    "usage": {
                        "prompt_tokens": usage.prompt_tokens,
                        "completion_tokens": usage.completion_tokens,
                        "total_tokens": usage.total_tokens,
                    },
                }
    raise AssertionError("a stream ended without Finished")


def _tokens(scored: Scored) -> list[dict[str, object]]:
    """The tokens in OpenAI's shape, each with its id; no log-probability for a text's first."""
    content = openai_logprobs(scored.tokens)["content"]
    shown: list[dict[str, object]] = []
    for token, each in zip(
        scored.tokens, content if isinstance(content, list) else (), strict=True
    ):
        ids = [{"token_id": other.token_id} for other in token.alternatives]
        top = [a | b for a, b in zip(each["top_logprobs"], ids, strict=True)]
        logprob = each["logprob"] if token in scored.counted else None
        shown.append(each | {"token_id": token.token_id, "logprob": logprob, "top_logprobs": top})
    return shown


async def _model(name: str | None, backend: Backend) -> str:
    if name is None:
        return (await backend.models())[0].name
    return (await model_info(name, backend)).name


async def _request(name: str | None, given: dict[str, Any], backend: Backend) -> Request:
    values = {key: value for key, value in given.items() if value is not None}
    body = ChatBody.model_validate({"model": await _model(name, backend), **values})
    return (await chat_requests(body, backend)).requests[0]


async def _answered(
    name: str | None, given: dict[str, Any], backend: Backend
) -> tuple[Request, str]:
    """The request that the last message answers, and that answer's text."""
    messages = given["messages"]
    last = messages[-1] if messages else {}
    answer = last.get("content")
    if last.get("role") != "assistant" or not isinstance(answer, str) or not answer:
        raise InvalidRequest("messages", "the last one must be the assistant's, with text")
    return await _request(name, given | {"messages": messages[:-1]}, backend), answer
