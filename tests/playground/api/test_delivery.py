"""How files reach a browser: compressed, kept where named by a hash, streams unbuffered."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from playground.api.delivery import HASHED, IMMUTABLE, Delivery, names_etag
from tests.playground.api.serving import running

TEXT = "the same again, " * 500


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("files") / "file.js"
    file.write_text(TEXT)
    taken = asyncio.Event()

    async def text(_request: Request) -> Response:
        return PlainTextResponse(TEXT)

    async def asset(_request: Request) -> Response:
        return FileResponse(file)

    async def take(_request: Request) -> Response:
        taken.set()
        return PlainTextResponse("taken")

    async def events(_request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            yield "data: first\n\n"
            await taken.wait()  # only who has read the first event sets it
            yield "data: last\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    paths = {"/": text, "/text": text, "/assets/{name}": asset, "/take": take, "/events": events}
    app = Starlette(routes=[Route(path, handler) for path, handler in paths.items()])
    with running(Delivery(app)) as address:
        yield address


def test_text_is_compressed(url: str) -> None:
    reply = httpx.get(f"{url}/text", headers={"Accept-Encoding": "gzip"})
    assert (reply.headers["content-encoding"], reply.text) == ("gzip", TEXT)


def test_clients_without_gzip_get_text(url: str) -> None:
    reply = httpx.get(f"{url}/text", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in reply.headers


def test_event_streams_are_not_held_back(url: str) -> None:
    with httpx.stream("GET", f"{url}/events", headers={"Accept-Encoding": "gzip"}) as stream:
        pieces = stream.iter_text()
        first = next(pieces)
        httpx.get(f"{url}/take")
        assert (first, "".join(pieces)) == ("data: first\n\n", "data: last\n\n")


@pytest.mark.parametrize(
    ("path", "control"),
    [
        ("/assets/index-Bu_jdMIA.js", IMMUTABLE),
        ("/assets/index.js?v=0123456789abcdef", IMMUTABLE),
        ("/assets/index.js", "no-cache"),
    ],
)
def test_only_hashed_files_are_kept(url: str, path: str, control: str) -> None:
    assert httpx.get(url + path).headers["cache-control"] == control


def test_a_known_etag_is_304(url: str) -> None:
    etag = httpx.get(f"{url}/assets/index.js").headers["etag"]
    reply = httpx.get(f"{url}/assets/index.js", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", etag)


def test_another_etag_is_200(url: str) -> None:
    reply = httpx.get(f"{url}/assets/index.js", headers={"If-None-Match": '"other"'})
    assert (reply.status_code, reply.text) == (200, TEXT)


def test_an_unchanged_page_is_304(url: str) -> None:
    first = httpx.get(url)
    assert (first.text, first.headers["cache-control"]) == (TEXT, "private, no-cache")
    again = httpx.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_etag_is_never_known() -> None:
    assert not names_etag("*", "")


def test_scripts_of_gradio_are_hashed() -> None:
    import gradio

    folder = Path(gradio.__file__).parent / "templates/frontend/assets"
    scripts = [path for path in folder.iterdir() if path.suffix == ".js"]
    plain = [path.name for path in scripts if not HASHED.fullmatch(f"/assets/{path.name}")]
    assert len(plain) < len(scripts) / 50, plain
