"""``/metrics``: the server's metrics in Prometheus's text format, and the last minutes of them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from playground.lab.live import LiveFigures, live_object
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


def live_router(live: LiveFigures) -> APIRouter:
    """``/v1/admin/live``: figures of the last minutes, as the Admin tab shows them."""
    router = APIRouter()

    @router.get("/admin/live")
    def figures(
        minutes: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    ) -> dict[str, object]:
        return dict(live_object(live, minutes))

    return router
