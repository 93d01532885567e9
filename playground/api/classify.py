"""``POST /v1/classify``: how probable each label is as the answer. The objects are vLLM's, with the
labels and scores of transformers' pipelines beside them.
"""

import time
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.openapi import json_body
from playground.api.schemas import ONE_OR_MANY, Body, MessageBody
from playground.api.translate import conversation, model_info
from playground.errors import InvalidRequest
from playground.lab.classify import Classification, check_labels, classify
from playground.protocol import Backend, Message, Request, new_request_id

MAX_INPUTS = 64
MANY = Field(min_length=1, max_length=MAX_INPUTS)
INSTRUCTION = "Answer with one of these labels and nothing else: {labels}."


class ClassifyBody(Body):
    """Texts to classify, each on its own, or one conversation. ``instruction`` is the system prompt
    of texts, in which ``{labels}`` stands for the labels; empty for none."""

    model: str
    labels: list[str]
    input: Annotated[list[str], ONE_OR_MANY, MANY] | None = None
    messages: list[MessageBody] | None = None
    instruction: str | None = None


def classify_router(backend: Backend) -> APIRouter:
    """Classify."""
    router = APIRouter()

    @router.post("/classify", openapi_extra=json_body(ClassifyBody))
    async def create(http: HttpRequest) -> Response:
        body = ClassifyBody.model_validate(await read_object(http))
        check_labels(body.labels)
        info = await model_info(body.model, backend)
        requests = [Request(info.name, messages) for messages in _conversations(body)]

        async def work() -> list[Classification]:
            return [await classify(backend, request, body.labels) for request in requests]

        found = await cancel_on_disconnect(http.receive, work())
        tokens = sum(each.prompt_tokens for each in found)
        return JSONResponse(
            {
                "id": f"classify-{new_request_id()}",
                "object": "list",
                "created": int(time.time()),
                "model": info.name,
                "data": [_result(index, each) for index, each in enumerate(found)],
                "usage": {
                    "prompt_tokens": tokens,
                    "completion_tokens": 0,
                    "total_tokens": tokens,
                },
            }
        )

    return router


def _conversations(body: ClassifyBody) -> list[tuple[Message, ...]]:
    if (body.input is None) == (body.messages is None):
        raise InvalidRequest("input", "give it or messages, one of them")
    if body.messages is not None:
        if body.instruction is not None:
            raise InvalidRequest("instruction", "messages have a system prompt of their own")
        return [conversation(body.messages)]
    instruction = INSTRUCTION if body.instruction is None else body.instruction
    shown = instruction.replace("{labels}", ", ".join(body.labels))
    system = (Message("system", shown),) if shown else ()
    return [(*system, Message("user", text)) for text in body.input or ()]


def _result(index: int, found: Classification) -> dict[str, object]:
    ranked = sorted(found.scores, key=lambda score: -score.logprob)
    return {
        "index": index,
        "label": found.best.label,
        "probs": [score.probability for score in found.scores],
        "num_classes": len(found.scores),
        "labels": [score.label for score in ranked],
        "scores": [score.probability for score in ranked],
        "logprobs": [score.logprob for score in found.scores],
    }
