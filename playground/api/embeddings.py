"""``POST /v1/embeddings`` is refused: a chat model's hidden states are no good embeddings (log:
"Hidden states as embeddings"), and an answer that looks like one would do harm unseen.
"""

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest

from playground.api.connection import read_object
from playground.api.errors import Refused
from playground.api.openapi import json_body
from playground.api.schemas import Body
from playground.api.translate import model_info
from playground.protocol import Backend

ADVICE = (
    "it is a chat model, and its hidden states do not tell like texts from unlike ones. Serve an "
    "embedding model beside it, for example with `vllm serve intfloat/e5-small-v2 --port 8001` or "
    "`text-embeddings-router --model-id intfloat/e5-small-v2 --port 8001`, and use that server's "
    "address for embeddings"
)


class EmbeddingBody(Body):
    """OpenAI's body."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


def embeddings_router(backend: Backend) -> APIRouter:
    """Say why not, and what to do."""
    router = APIRouter()

    @router.post("/embeddings", openapi_extra=json_body(EmbeddingBody))
    async def create(http: HttpRequest) -> None:
        body = EmbeddingBody.model_validate(await read_object(http))
        info = await model_info(body.model, backend)
        problem = f"{info.name} gives no embeddings: {ADVICE}"
        raise Refused(400, "embeddings_not_supported", problem, "model")

    return router
