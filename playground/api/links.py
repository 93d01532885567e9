"""``/v1/admin/links``: links to a demo of one model or one comparison, for administrators."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from playground.access import DemoLinks
from playground.access.links import token_of
from playground.api.root import LINKS, base_url
from playground.store.links import Link


class LinkBody(BaseModel):
    """Body of ``POST /v1/admin/links``. ``answers`` and ``tokens`` are the most that all who open
    it get together; null for no limit."""

    model_config = ConfigDict(extra="forbid")
    models: list[str]
    tab: str = "chat"
    system_prompt: str | None = None
    expires_in_days: float = 7.0
    answers: int | None = None
    tokens: int | None = None


def links_router(links: DemoLinks) -> APIRouter:
    """List, make and revoke links."""
    router = APIRouter(prefix="/admin/links")

    @router.get("")
    def all_links(http: Request) -> dict[str, object]:
        return {"object": "list", "data": [link_body(link, http) for link in links.all()]}

    @router.post("")
    def add(body: LinkBody, http: Request) -> dict[str, object]:
        link = links.create(
            body.models, body.tab, days=body.expires_in_days, system_prompt=body.system_prompt,
            answers=body.answers, tokens=body.tokens,
        )  # fmt: skip
        return link_body(link, http)

    @router.delete("/{link_id}")
    def revoke(link_id: str, http: Request) -> dict[str, object]:
        return link_body(links.revoke(link_id), http)

    return router


def link_body(link: Link, http: Request) -> dict[str, object]:
    """Return a link as JSON; ``url`` is its address."""
    return {
        "id": link.id,
        "object": "link",
        "url": f"{base_url(http.scope)}{LINKS}/{token_of(link)}/",
        "state": link.state,
        "tab": link.tab,
        "models": list(link.models),
        "system_prompt": link.system_prompt,
        "created": link.created,
        "expires": link.expires,
        "revoked": link.revoked,
        "max_answers": link.max_answers,
        "max_tokens": link.max_tokens,
        "answers": link.answers,
        "tokens": link.tokens,
    }
