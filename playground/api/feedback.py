"""``GET /v1/feedback`` and its tally: votes, thumbs and edits. Our own endpoints."""

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Response

from playground.lab.tally import tally
from playground.store.feedback import Feedback, as_jsonl
from playground.store.feedback_rows import FeedbackRows


def feedback_router(feedback: Feedback) -> APIRouter:
    """Return the rows of a training method as JSON lines, which ``POST /v1/files`` takes, and the
    tally of votes."""
    router = APIRouter(prefix="/feedback")

    @router.get("")
    async def rows(method: FeedbackRows = "sft") -> Response:
        text = await asyncio.to_thread(lambda: as_jsonl(feedback.rows_for(method)))
        return Response(text, media_type="application/jsonl")

    @router.get("/tally")
    async def count(tag: str = "") -> dict[str, object]:
        counted = await asyncio.to_thread(lambda: tally(feedback.votes(), tag))
        data = []
        for standing in counted.standings:
            facts = asdict(standing)
            data.append(facts.pop("contender") | facts)
        return {"object": "list", "votes": counted.votes, "tags": list(counted.tags), "data": data}

    return router
