"""What only Mistral's client asks for: which streams it cannot read, and paths that are refused by
name. The rest of its dialect is that of chat (`playground.api.dialects`).
"""

from fastapi import APIRouter
from starlette.requests import Request

from playground.api.errors import Refused

USER_AGENT = "mistral"
"""In the ``User-Agent`` of mistralai, and of the AI SDK's provider for Mistral."""


def wants_whole_calls(http: Request) -> bool:
    """Whether the client reads a streamed call only if it comes in one piece, as Mistral sends it:
    its types require the name with every piece of the arguments."""
    return USER_AGENT in http.headers.get("user-agent", "").lower()


def mistral_router() -> APIRouter:
    """Refuse what is not here, with what to do instead."""
    router = APIRouter()

    @router.post("/fim/completions")
    async def fill_in() -> None:
        problem = (
            "filling in the middle is not supported: it takes a model trained for it, such as "
            "Codestral; /v1/completions continues a text"
        )
        raise Refused(400, "fim_not_supported", problem)

    @router.post("/agents/completions")
    async def agents() -> None:
        problem = (
            "agents are not supported: send their instructions and tools to "
            "/v1/chat/completions yourself"
        )
        raise Refused(400, "agents_not_supported", problem)

    return router
