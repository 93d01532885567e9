"""The edge of the API: paths as people write them, HEAD, request ids, CORS, stable fingerprints."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from playground.api import create_api
from playground.api.answers import fingerprint
from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.protocol import ModelInfo, Provenance
from playground.services import Services
from playground.settings import load_settings
from playground.studio.studio import Studio

HELLO: list[Any] = [{"role": "user", "content": "Hello!"}]
PAGE_OF_ANOTHER = "http://localhost:3000"
PREFLIGHT = {
    "Origin": PAGE_OF_ANOTHER,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.mark.parametrize(
    "path", ["/v1/models/", "//v1/models", "/v1//models", "/v1/models//", "/health/"]
)
def test_slashes_too_many_do_not_matter(server_url: str, path: str) -> None:
    plain = path.replace("//", "/").rstrip("/")
    wanted = httpx.get(server_url + plain)
    reply = httpx.get(server_url + path)
    assert (reply.status_code, reply.json().keys()) == (200, wanted.json().keys())


def test_a_doubled_slash_takes_a_body(server_url: str, model: str) -> None:
    body = {"model": model, "messages": HELLO, "max_tokens": 2}
    assert httpx.post(f"{server_url}//v1/chat/completions/", json=body).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/embedded"])
def test_head_is_get_without_a_body(server_url: str, path: str) -> None:
    reply, whole = httpx.head(server_url + path), httpx.get(server_url + path)
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"] == whole.headers["content-type"]


def test_head_of_an_unknown_path_is_404(server_url: str) -> None:
    assert httpx.head(f"{server_url}/v1/nothing").status_code == 404


def test_head_of_what_is_posted_is_405(server_url: str) -> None:
    assert httpx.head(f"{server_url}/v1/chat/completions").status_code == 405


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/nothing"])
def test_every_answer_has_an_own_request_id(server_url: str, path: str) -> None:
    ids = {httpx.get(server_url + path).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_clients_request_id_comes_back(server_url: str) -> None:
    reply = httpx.get(f"{server_url}/v1/models", headers={"X-Request-Id": "mine-1"})
    assert reply.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("given", ["a" * 129, "a b", "<script>", ""])
def test_an_odd_request_id_is_replaced(server_url: str, given: str) -> None:
    reply = httpx.get(f"{server_url}/v1/models", headers={"X-Request-Id": given})
    assert reply.headers["x-request-id"].startswith("req_")


def test_openais_client_knows_the_request_id(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(model=model, messages=HELLO, max_tokens=2)
    assert str(reply._request_id).startswith("req_")


def test_a_stream_has_a_request_id(server_url: str, model: str) -> None:
    body = {"model": model, "messages": HELLO, "max_tokens": 2, "stream": True}
    reply = httpx.post(f"{server_url}/v1/chat/completions", json=body)
    assert reply.headers["x-request-id"].startswith("req_")


def serve_with_cors(serve: Callable[..., str], *origins: str, **settings: Any) -> str:
    backend = ScriptedBackend(lambda request: ["fine"])
    return serve(backend, {"server.cors_origins": list(origins)} | settings)


def test_no_other_origin_is_allowed_unasked(fine_url: str) -> None:
    reply = httpx.options(f"{fine_url}/v1/chat/completions", headers=PREFLIGHT)
    assert reply.status_code == 405
    assert "access-control-allow-origin" not in reply.headers


def test_an_allowed_origin_gets_its_preflight(serve: Callable[..., str]) -> None:
    url = serve_with_cors(serve, PAGE_OF_ANOTHER, **{"access.api_key": "sesame"})
    reply = httpx.options(f"{url}/v1/chat/completions", headers=PREFLIGHT)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == PAGE_OF_ANOTHER
    assert "authorization" in reply.headers["access-control-allow-headers"]


def test_another_origin_gets_no_preflight(serve: Callable[..., str]) -> None:
    url = serve_with_cors(serve, PAGE_OF_ANOTHER)
    headers = PREFLIGHT | {"Origin": "http://elsewhere.example"}
    reply = httpx.options(f"{url}/v1/chat/completions", headers=headers)
    assert reply.status_code == 400
    assert "access-control-allow-origin" not in reply.headers


def test_every_origin_comes_without_credentials(serve: Callable[..., str]) -> None:
    url = serve_with_cors(serve, "*")
    reply = httpx.get(f"{url}/v1/models", headers={"Origin": PAGE_OF_ANOTHER})
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize(
    "change", [{"stream": True}, {"temperature": "hot"}, {"model": "gpt-4"}], ids=str
)
def test_streams_and_errors_may_be_read_too(
    serve: Callable[..., str], change: dict[str, Any]
) -> None:
    url = serve_with_cors(serve, PAGE_OF_ANOTHER)
    body = {"model": "scripted", "messages": HELLO} | change
    headers = {"Origin": PAGE_OF_ANOTHER}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers)
    assert reply.headers["access-control-allow-origin"] == PAGE_OF_ANOTHER
    assert "x-request-id" in reply.headers["access-control-expose-headers"]


def test_a_missing_key_may_be_read_too(serve: Callable[..., str]) -> None:
    url = serve_with_cors(serve, PAGE_OF_ANOTHER, **{"access.api_key": "sesame"})
    reply = httpx.get(f"{url}/v1/models", headers={"Origin": PAGE_OF_ANOTHER})
    assert reply.status_code == 401
    assert reply.headers["access-control-allow-origin"] == PAGE_OF_ANOTHER


WEIGHTS = Provenance("base", "none", "codes", "adapter")


@pytest.mark.parametrize(
    "change",
    [{"base_hash": "other"}, {"quantization": "nf4"}, {"adapter_hash": "other"}],
    ids=lambda change: next(iter(change)),
)
def test_other_weights_have_another_fingerprint(change: dict[str, Any]) -> None:
    info = ModelInfo("m", 100, provenance=WEIGHTS)
    assert fingerprint(info) != fingerprint(replace(info, provenance=replace(WEIGHTS, **change)))


def test_time_and_name_leave_the_fingerprint() -> None:
    info = ModelInfo("m", 100, created=1, provenance=WEIGHTS)
    assert fingerprint(info) == fingerprint(replace(info, created=2, description="Other words."))


def test_deleting_a_base_model_is_refused(server_url: str, model: str) -> None:
    reply = httpx.delete(f"{server_url}/v1/models/{model}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "model_not_deletable")


def test_deleting_an_unknown_model_is_404(server_url: str) -> None:
    assert httpx.delete(f"{server_url}/v1/models/nothing").status_code == 404


def test_a_loaded_adapter_can_be_deleted(
    client: openai.OpenAI, backend: LocalBackend, trained_adapter: Path
) -> None:
    backend.load_adapter(trained_adapter, "passing")
    name = f"{backend.default_model.name}:passing"
    assert client.models.delete(name).deleted
    assert name not in {each.id for each in client.models.list()}


@pytest.mark.slow
def test_deleting_removes_every_version_from_the_store(
    serve: Callable[..., str], backend: LocalBackend, trained_adapter: Path, tmp_path: Path
) -> None:
    settings = load_settings({"home": str(tmp_path)})
    studio = Studio(tmp_path, backend.loaded, backend)
    for _ in range(2):
        studio.import_adapter(trained_adapter, "stored")
    studio.promote("stored", "v2")
    url = serve(app=create_api(Services.create(backend, settings, studio=studio)))
    assert httpx.delete(f"{url}/v1/models/stored").json()["deleted"] is True
    assert studio.store.names() == []
    assert httpx.get(f"{url}/v1/models/stored").status_code == 404


def test_an_adapters_age_is_that_of_its_files(
    client: openai.OpenAI, backend: LocalBackend, trained_adapter: Path
) -> None:
    backend.load_adapter(trained_adapter, "aged")
    created = client.models.retrieve("aged").created
    assert created == int((trained_adapter / "adapter_config.json").stat().st_mtime)
    backend.unload_adapter("aged")
