"""``/metrics``: the server's metrics in Prometheus's text format."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from playground.lab.metrics import Metrics


def metrics_router(metrics: Metrics) -> APIRouter:
    """One path, which the table of areas leaves to administrators."""
    router = APIRouter()

    @router.get("/metrics")
    async def read() -> Response:
        # Counting jobs reads files.
        text = await asyncio.to_thread(metrics.text)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
