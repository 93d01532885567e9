"""``/tokenize``, ``/detokenize`` and ``/version``, as vLLM has them
(vllm/entrypoints/serve/tokenize): what a model is given, and what token ids say.
"""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest

import playground
from playground.api.connection import read_object
from playground.api.errors import Refused
from playground.api.openapi import json_body
from playground.api.schemas import Body, ChatBody, CompletionBody
from playground.api.translate import chat_requests, completion_requests, model_info
from playground.errors import InvalidRequest
from playground.protocol import Backend, PromptTokenizer, TokenizerHost

UNUSED_LIMIT = 1
"""A prompt's tokens do not depend on how long its answer may be."""


class TokenizeBody(Body):
    """A prompt, or messages with what else decides how they are rendered."""

    model: str | None = None
    prompt: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class DetokenizeBody(Body):
    """Token ids."""

    model: str | None = None
    tokens: list[int]


def tokenize_router(backend: Backend) -> APIRouter:
    """Tokenize, detokenize, and the version of the playground."""
    router = APIRouter()

    @router.post("/tokenize", openapi_extra=json_body(TokenizeBody))
    async def tokenize(http: HttpRequest) -> dict[str, object]:
        body = TokenizeBody.model_validate(await read_object(http))
        host, model = _host(backend), await _model(body.model, backend)
        if (body.prompt is None) == (body.messages is None):
            raise InvalidRequest("prompt", "give it or messages, one of them")
        tokens = await _tokens(body, model, backend, host)
        strings = [host.decode([token]) for token in tokens] if body.return_token_strs else None
        prefix = await host.prefix_id(model) if isinstance(host, PromptTokenizer) else None
        return {
            "count": len(tokens),
            "max_model_len": (await model_info(model, backend)).context_length,
            "tokens": tokens,
            "token_strs": strings,
            "prefix_token_id": prefix,
        }

    @router.post("/detokenize", openapi_extra=json_body(DetokenizeBody))
    async def detokenize(http: HttpRequest) -> dict[str, object]:
        body = DetokenizeBody.model_validate(await read_object(http))
        await _model(body.model, backend)
        return {"prompt": await asyncio.to_thread(_host(backend).decode, body.tokens)}

    @router.get("/version")
    async def version() -> dict[str, object]:
        return {"version": playground.__version__}

    return router


def _host(backend: Backend) -> TokenizerHost:
    if not isinstance(backend, TokenizerHost):
        raise Refused(400, "unsupported", "this backend does not show its tokenizer")
    return backend


async def _model(name: str | None, backend: Backend) -> str:
    """The model's name, the default one's if none is given. Raises `UnknownModel`."""
    if name is None:
        return (await backend.models())[0].name
    return (await model_info(name, backend)).name


async def _tokens(
    body: TokenizeBody, model: str, backend: Backend, host: TokenizerHost
) -> list[int]:
    if body.messages is not None:
        if body.add_special_tokens:
            raise InvalidRequest("add_special_tokens", "the chat template has them; leave it out")
        names = ("messages", "tools", "add_generation_prompt", "continue_final_message")
        given = {name: getattr(body, name) for name in (*names, "chat_template_kwargs")}
        chat = ChatBody.model_validate({"model": model, **given})
        return await host.tokenize((await chat_requests(chat, backend)).requests[0])
    if body.add_special_tokens is False or not body.prompt:
        return await asyncio.to_thread(host.encode_plain, body.prompt or "")
    completion = CompletionBody.model_validate(
        {"model": model, "prompt": body.prompt, "max_tokens": UNUSED_LIMIT}
    )
    return await host.tokenize((await completion_requests(completion, backend)).requests[0])
