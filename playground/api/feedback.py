"""``GET /v1/feedback``: votes, thumbs and edits as training rows; our own endpoint."""

import asyncio

from fastapi import APIRouter, Response

from playground.store.feedback import Feedback, FeedbackRows, as_jsonl


def feedback_router(feedback: Feedback) -> APIRouter:
    """Return the rows of a training method as JSON lines, which ``POST /v1/files`` takes."""
    router = APIRouter(prefix="/feedback")

    @router.get("")
    async def rows(method: FeedbackRows = "sft") -> Response:
        text = await asyncio.to_thread(lambda: as_jsonl(feedback.rows_for(method)))
        return Response(text, media_type="application/jsonl")

    return router
