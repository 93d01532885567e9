"""``/v1/responses`` as OpenAI has it: answers to items, whole or in typed events, which are stored
and may be gone on from. The answer is that of the same chat completion.
"""

import asyncio
from typing import Literal

from fastapi import APIRouter, Query
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import whole_answers
from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.conversation_objects import turn_items
from playground.api.errors import Refused, spelled
from playground.api.openapi import json_body
from playground.api.paging import list_body, page_of
from playground.api.prompt_reference import PromptReferences
from playground.api.responses_objects import ResponseShape
from playground.api.responses_schemas import RESPONSES, ResponsesBody
from playground.api.responses_stream import ResponseStream
from playground.api.responses_translate import names_of, response_request
from playground.api.sse import stream_events
from playground.errors import UnknownResponse
from playground.protocol import Backend
from playground.protocol.json_types import JsonObject
from playground.store.conversations import Conversations
from playground.store.responses import Item, KeptResponse, Responses

NO_PROMPTS = PromptReferences()


def responses_router(
    backend: Backend,
    responses: Responses | None,
    references: PromptReferences = NO_PROMPTS,
    conversations: Conversations | None = None,
) -> APIRouter:
    """Create; retrieve, delete and list the input of those that are stored.

    Without a store nothing is kept, and a response says so: ``store`` is false. ``references``
    finds the stored prompts that a request names. With ``conversation`` input and output are added
    to that conversation, whatever ``store`` is.
    """
    router = APIRouter(prefix="/responses")
    router.include_router(_stored_responses_router(responses))

    @router.post("", openapi_extra=json_body(ResponsesBody, RESPONSES, streams=True))
    async def create(http: HttpRequest) -> Response:
        sent, prompt = await asyncio.to_thread(references.resolve, await read_object(http))
        body = _parse(sent)
        parsed = await response_request(body, backend, responses, prompt, conversations)
        is_stored = responses is not None and body.store is not False
        shape = ResponseShape(body, parsed, stored=is_stored, prompt=prompt)

        def keep(response: Item) -> None:
            if conversations is not None and body.conversation_id:
                items = turn_items(shape.input_items(), response)
                conversations.append(body.conversation_id, items)
            if responses is not None and is_stored:
                previous = body.previous_response_id
                responses.keep(KeptResponse(shape.id, previous, shape.input_items(), response))

        if body.stream:
            stream = ResponseStream(shape, keep)
            events = backend.stream(parsed.requests[0])
            with spelled(names_of(body, parsed)):
                return await stream_events(http, events, stream.chunks, named=True)
        with spelled(names_of(body, parsed)):
            work = whole_answers(backend, parsed.requests)
            (answer,) = await cancel_on_disconnect(http.receive, work)
        response = shape.finished(answer)
        await asyncio.to_thread(keep, response)
        return JSONResponse(response)

    @router.post("/input_tokens", openapi_extra=json_body(ResponsesBody, RESPONSES))
    async def input_tokens(http: HttpRequest) -> dict[str, object]:
        sent, prompt = await asyncio.to_thread(references.resolve, await read_object(http))
        body = _parse(sent)
        parsed = await response_request(body, backend, responses, prompt, conversations)
        with spelled(names_of(body, parsed)):
            count = await backend.count_tokens(parsed.requests[0])
        return {"object": "response.input_tokens", "input_tokens": count}

    return router


def _stored_responses_router(responses: Responses | None) -> APIRouter:
    """Retrieve, delete, cancel, and list the input of those that are stored."""
    router = APIRouter()

    def stored(response_id: str) -> KeptResponse:
        if responses is None:
            raise UnknownResponse(response_id)
        return responses.find(response_id)

    @router.get("/{response_id}")
    async def retrieve(response_id: str, stream: bool = False) -> Item:
        if stream:
            problem = "stream: a stored response comes whole; leave it out"
            raise Refused(400, "unsupported_parameter", problem, "stream")
        return (await asyncio.to_thread(stored, response_id)).body

    @router.delete("/{response_id}")
    async def delete(response_id: str) -> dict[str, object]:
        await asyncio.to_thread(stored, response_id)
        if responses is not None:
            await asyncio.to_thread(responses.delete, response_id)
        return {"id": response_id, "object": "response", "deleted": True}

    @router.post("/{response_id}/cancel")
    async def cancel(response_id: str) -> Item:
        await asyncio.to_thread(stored, response_id)
        problem = "only responses in the background can be cancelled; close the connection instead"
        raise Refused(400, "invalid_value", problem, "response_id")

    @router.get("/{response_id}/input_items")
    async def input_items(
        response_id: str,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> dict[str, object]:
        await asyncio.to_thread(stored, response_id)
        items: list[Item] = []
        if responses is not None:
            items = await asyncio.to_thread(responses.input_items, response_id)
        ordered = items if order == "asc" else items[::-1]
        page, more = page_of(ordered, lambda item: item["id"], limit, after)
        return list_body([_listed(item) for item in page], more)

    return router


def _parse(body: JsonObject) -> ResponsesBody:
    return ResponsesBody.model_validate(RESPONSES.strip(body))


def _listed(item: Item) -> Item:
    return {"status": "completed", **item}
