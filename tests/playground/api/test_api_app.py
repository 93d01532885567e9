"""The application around the endpoints: health, keys, model names, and the page's paths."""

import httpx
import openai
import pytest
import together

from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.protocol import ModelInfo
from playground.services import Services
from playground.settings import load_settings

CHAT = "/v1/chat/completions"
ASKED = {"model": "scripted", "messages": [{"role": "user", "content": "Hello!"}]}


@pytest.mark.slow
def test_a_key_is_asked_for_only_where_one_is_set(serve) -> None:
    url = serve(ScriptedBackend(lambda request: ["fine"]), {"access.api_key": "sesame"})
    assert httpx.get(f"{url}/health").status_code == 200
    for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "sesame"}):
        reply = httpx.get(f"{url}/v1/models", headers=headers)
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == "invalid_api_key"
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="open", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(**ASKED)
    reply = httpx.get(f"{url}/v1/models", headers={"Authorization": "Bearer sesame"})
    assert reply.status_code == 200


def test_health_names_the_model_and_says_since_when(server_url: str, model: str) -> None:
    reply = httpx.get(f"{server_url}/health").json()
    assert reply["status"] == "ok"
    assert reply["model"] == model
    assert reply["uptime"] >= 0


def test_health_of_a_stopped_backend_is_an_error(serve) -> None:
    class Stopped(ScriptedBackend):
        @property
        def running(self) -> bool:
            return False

    reply = httpx.get(f"{serve(Stopped(lambda request: []))}/health")
    assert reply.status_code == 503
    assert reply.json()["status"] == "stopped"


@pytest.mark.slow
def test_a_model_id_may_contain_slashes(serve) -> None:
    name = "mistralai/Mistral-Small-24B-Instruct-2501"
    url = serve(ScriptedBackend(lambda request: [], models=[ModelInfo(name, 100)]))
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        assert client.models.retrieve(name).id == name
    with together.Together(base_url=url, api_key="any") as client:
        assert client.models.retrieve(name, project_id="mine").id == name


@pytest.mark.slow
def test_all_other_paths_are_left_to_the_page(serve) -> None:
    async def page(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    settings = load_settings({"access.api_key": "sesame"})
    app = create_api(Services.create(ScriptedBackend(lambda request: []), settings))
    app.mount("/", page)
    url = serve(app=app)
    assert httpx.get(url).text == "a page"
    key = {"Authorization": "Bearer sesame"}
    for path in ("/nothing", "/v10", "/healthy"):
        assert httpx.get(url + path).status_code == 401
        assert httpx.get(url + path, headers=key).text == "a page"
    reply = httpx.get(f"{url}/v1/nothing", headers=key)
    assert reply.json()["error"]["code"] == "unknown_url"
