"""Where page and API are on their host: the path behind a proxy, and what comes by a link."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from playground.access import Access
from playground.api.gate import Gate
from playground.api.origins import Origins
from playground.api.root import LINK, PageRoot, Root, cookie_path
from playground.errors import InvalidSettings, ModelLoading, PlaygroundError, UnknownModel
from playground.settings import load_settings


async def seen(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says what it sees."""
    headers = Request(scope).headers
    told = {name: headers.get(name) for name in ("x-gradio-server", "x-forwarded-host")}
    found = {"path": scope["path"], "link": scope.get(LINK)}
    await JSONResponse(found | told | {"cookies": cookie_path(scope)})(scope, receive, send)


async def asked(path: str, root: str = "/playground", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Root(PageRoot(seen), root))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path, headers=named)


@pytest.mark.parametrize(
    ("path", "root", "inner", "link"),
    [
        ("/playground/v1/models", "/playground", "/v1/models", None),
        ("/v1/models", "/playground", "/v1/models", None),
        ("/playground/", "/playground", "/", None),
        ("/playground2/v1", "/playground", "/playground2/v1", None),
        ("/playground/playground/v1", "/playground", "/playground/v1", None),
        ("/a/b/assets/x.js", "/a/b", "/assets/x.js", None),
        ("/d/token/", "", "/", "token"),
        ("/playground/d/to.k-en/gradio_api/queue/join", "/playground", "/gradio_api/queue/join",
         "to.k-en"),
        ("/d/one/d/two/", "", "/d/two/", "one"),
    ],
)  # fmt: skip
async def test_paths_are_plain_inside(path: str, root: str, inner: str, link: str | None) -> None:
    body = (await asked(path, root)).json()
    assert (body["path"], body["link"]) == (inner, link)
    assert body["cookies"] == (root or "/")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/playground?prompt=a", "/playground/?prompt=a"),
        ("/playground/d/token", "/playground/d/token/"),
        ("/d/%0d%0aX-Evil:1", "/playground/d/%0D%0AX-Evil%3A1/"),
    ],
)
async def test_a_missing_slash_is_added(path: str, place: str) -> None:
    answer = await asked(path)
    assert (answer.status_code, answer.headers["location"]) == (308, place)


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({}, "http://here/playground/d/t"),
        ({"x_forwarded_host": "demo.example, inner"}, "http://demo.example/playground/d/t"),
        ({"x_forwarded_host": "evil.example/a?b"}, "http://here/playground/d/t"),
        ({"x_gradio_server": "http://evil.example"}, "http://here/playground/d/t"),
        ({"x_forwarded_prefix": "/evil"}, "http://here/playground/d/t"),
    ],
)
async def test_gradio_is_told_the_address(headers: dict[str, str], base: str) -> None:
    body = (await asked("/playground/d/t/config", **headers)).json()
    assert body["x-gradio-server"] == base
    assert body["x-forwarded-host"] is None


@pytest.mark.parametrize("path", ["playground", "/v1", "/assets/x", "/a b", "/../a", "/a//b", "/d"])
def test_a_root_path_is_checked(path: str) -> None:
    with pytest.raises(InvalidSettings, match=r"server\.root_path"):
        load_settings({"server.root_path": path})


@pytest.mark.parametrize("origin", ["*", "https://a.example/b", "https://a; script-src *", "null"])
def test_a_frame_ancestor_is_an_origin(origin: str) -> None:
    with pytest.raises(InvalidSettings, match=r"server\.frame_ancestors"):
        load_settings({"server.frame_ancestors": [origin]})


def gated(access: Access, frames: tuple[str, ...] = ("https://shop.example",)) -> Root:
    return Root(Gate(seen, access, Origins(), frames), "/playground")


async def page_of(access: Access, **request: Any) -> httpx.Response:
    transport = httpx.ASGITransport(gated(access))
    async with httpx.AsyncClient(transport=transport, base_url="https://here") as client:
        return await client.get("/playground/", headers=request)


async def test_guests_pages_may_be_framed() -> None:
    answer = await page_of(Access(asks=True, demo=True), **{"sec-fetch-dest": "iframe"})
    assert (
        "frame-ancestors 'self' https://shop.example" in answer.headers["content-security-policy"]
    )
    cookie = answer.headers["set-cookie"]
    assert "Path=/playground; HttpOnly; SameSite=None; Secure; Partitioned" in cookie


async def test_a_page_in_no_frame_has_a_strict_cookie() -> None:
    answer = await page_of(Access(asks=True, demo=True), **{"sec-fetch-dest": "document"})
    assert "SameSite=Strict" in answer.headers["set-cookie"]


async def test_other_pages_are_in_no_frame() -> None:
    answer = await page_of(Access("sesame"), Authorization="Bearer sesame")
    assert answer.status_code == 200
    assert "content-security-policy" not in answer.headers  # `PagePolicy` adds the strict one


async def test_a_closed_link_says_so() -> None:
    transport = httpx.ASGITransport(gated(Access(asks=True)))
    async with httpx.AsyncClient(transport=transport, base_url="https://here") as client:
        page = await client.get("/playground/d/token/")
        data = await client.get("/playground/d/token/config")
    assert page.status_code == data.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    assert "This server has no links" in page.text
    assert data.json()["error"]["code"] == "link_closed"


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (UnknownModel("<law>", ()), 404, "The model of this demo, &lt;law&gt;, is not served here"),
        (ModelLoading("law"), 503, "The model of this demo is still loading"),
    ],
)
async def test_a_demo_without_its_model_says_so(
    error: PlaygroundError, status: int, says: str
) -> None:
    async def models() -> None:
        raise error

    access = Access(asks=True, demo=True)
    app = Root(Gate(seen, access, Origins(), (), models), "/playground")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://here") as client:
        page = await client.get("/playground/")
        data = await client.get("/playground/config")
    assert (page.status_code, data.status_code) == (status, 200)
    assert says in page.text
    assert ("refresh" in page.headers) == (status == 503)
