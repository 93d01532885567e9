"""``/v1/prompts``, and ``prompt`` of ``/v1/responses`` through the unmodified `openai` client."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
from playground.protocol import Request
from playground.services import Services
from playground.settings import Settings
from playground.store.responses import Responses
from tests.playground.api.serving import running

TOOL: Any = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
CONTENT: Any = {
    "messages": [
        {"role": "system", "content": "You sell {{ goods }}."},
        {"role": "user", "content": "{{ n }} of {{ size }}: {{ doc }}"},
    ],
    "variables": [
        {"name": "n", "type": "number"},
        {"name": "size", "type": "choice", "choices": ["S", "L"], "default": "S"},
        {"name": "doc", "type": "file", "default": "none"},
    ],
    "sampling": {"temperature": 0.25, "top_k": 7, "max_tokens": 9},
}


@pytest.fixture(scope="module")
def seen() -> list[Request]:
    return []


@pytest.fixture(scope="module")
def url(seen: list[Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["fi", "ne"]

    home = tmp_path_factory.mktemp("home")
    prompts, responses = Prompts(home), Responses(home)
    services = Services.create(
        ScriptedBackend(script), Settings(home=home), responses=responses, prompts=prompts
    )
    prompts.create("shop", PromptContent.from_json(CONTENT), "First")
    with running(create_api(services)) as address:
        yield address
    prompts.close()
    responses.close()


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}/v1") as client:
        yield client


def model_of(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def test_prompt_is_created_versioned_labelled(http: httpx.Client) -> None:
    made = http.post("/prompts", json={"name": "greet", "message": "One", **CONTENT}).json()
    assert (made["object"], made["version"], made["latest_version"]) == ("prompt", "1", "1")
    changed = CONTENT | {"model": "other"}
    saved = http.post("/prompts/greet/versions", json={"message": "Two", **changed}).json()
    assert (saved["version"], saved["message"], saved["model"]) == ("2", "Two", "other")
    http.post(f"/prompts/{made['id']}/labels", json={"label": "production", "version": 1})
    assert http.get("/prompts/greet").json()["version"] == "1"
    assert http.get("/prompts/greet/versions/production").json()["version"] == "1"
    listed = http.get("/prompts/greet/versions", params={"limit": 1}).json()
    assert (listed["data"][0]["version"], listed["has_more"]) == ("2", True)
    diff = http.get("/prompts/greet/diff", params={"from": "1"}).json()["diff"]
    assert "+model: other" in diff
    assert http.delete("/prompts/greet/labels/production").json()["labels"] == {}
    renamed = http.post("/prompts/greet", json={"name": "hello", "tags": ["a"]}).json()
    assert (renamed["name"], renamed["tags"], renamed["id"]) == ("hello", ["a"], made["id"])
    assert http.delete("/prompts/hello").json()["deleted"] is True
    assert [each["name"] for each in http.get("/prompts").json()["data"]] == ["shop"]


def test_yaml_is_exported_and_imported(http: httpx.Client) -> None:
    text = http.get("/prompts/shop", params={"format": "yaml"}).text
    renamed = text.replace("name: shop", "name: shop2", 1)
    done = http.post("/prompts/import", content=renamed.encode()).json()
    assert done["data"] == [{"name": "shop2", "created": True, "added_versions": [1]}]
    assert http.get("/prompts/shop2", params={"format": "yaml"}).text == renamed
    assert http.get("/prompts", params={"format": "yaml"}).text == f"{text}---\n{renamed}"
    http.delete("/prompts/shop2")


def test_version_is_rendered(http: httpx.Client) -> None:
    variables = {"goods": "tea", "n": 2}
    body = http.post("/prompts/shop/versions/1/render", json={"variables": variables}).json()
    assert [each["content"] for each in body["messages"]] == ["You sell tea.", "2 of S: none"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "/prompts", {"name": "x"}, 400, "messages"),
        ("POST", "/prompts", CONTENT, 400, "name"),
        ("POST", "/prompts", {"name": "x", "colour": 1}, 400, "colour"),
        ("POST", "/prompts", {"name": "a b", **CONTENT}, 400, "name"),
        ("POST", "/prompts", {"name": "shop", **CONTENT}, 409, None),
        ("POST", "/prompts", {"name": "x", "messages": [{"role": "user", "content": "{{"}]}, 400,
         "messages[0].content"),
        ("GET", "/prompts/nothing", None, 404, None),
        ("GET", "/prompts/shop/versions/9", None, 404, None),
        ("POST", "/prompts/shop/versions", CONTENT, 400, "content"),
        ("POST", "/prompts/shop/labels", {"label": "latest", "version": 1}, 400, "label"),
        ("POST", "/prompts/shop/labels", {"label": "x"}, 400, "version"),
        ("POST", "/prompts/shop/versions/1/render", {"variables": {"n": "x"}}, 400,
         "variables.n"),
        ("POST", "/prompts/import", {}, 400, "prompt.name"),
        ("GET", "/prompts?limit=0", None, 400, "limit"),
    ],
)  # fmt: skip
def test_bad_call_names_field(
    http: httpx.Client, method: str, path: str, body: Any, status: int, param: str | None
) -> None:
    reply = http.request(method, path, json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


def test_response_uses_stored_prompt(client: openai.OpenAI, seen: list[Request]) -> None:
    variables: Any = {"goods": "tea", "n": "2", "size": "L"}
    response = client.responses.create(
        model=model_of(client),
        prompt={"id": "shop", "version": "1", "variables": variables},
        input="Hurry.",
    )
    assert response.output_text == "fine"
    assert response.prompt is not None
    assert (response.prompt.version, response.prompt.id[:5]) == ("1", "pmpt_")
    asked = [(message.role, message.content) for message in seen[-1].messages]
    assert asked == [
        ("system", "You sell tea."), ("user", "2 of L: none"), ("user", "Hurry."),
    ]  # fmt: skip
    sampling = seen[-1].sampling
    assert (sampling.temperature, sampling.top_k, sampling.max_tokens) == (0.25, 7, 9)


def test_request_overrides_the_prompt(client: openai.OpenAI, seen: list[Request]) -> None:
    with client.responses.stream(
        model=model_of(client),
        prompt={"id": "shop", "variables": {"goods": "tea", "n": "1"}},
        input=[],
        temperature=1.5,
        instructions="Be brief.",
    ) as stream:
        assert stream.get_final_response().output_text == "fine"
    assert seen[-1].sampling.temperature == 1.5
    assert [message.role for message in seen[-1].messages][:2] == ["system", "system"]


def test_prompt_brings_model_tools_schema(
    client: openai.OpenAI, http: httpx.Client, seen: list[Request]
) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "model": model_of(client)}
    http.post("/prompts", json={"name": "typed", **body, "schema": {"type": "object"}})
    http.post("/prompts/typed/versions", json={**body, "tools": [TOOL]})
    client.responses.create(prompt={"id": "typed", "version": "1"})
    assert seen[-1].response_format is not None
    answer = client.responses.create(prompt={"id": "typed", "version": "2"})
    assert [tool.name for tool in seen[-1].tools] == ["look_up"]
    assert [tool.to_dict()["name"] for tool in answer.tools] == ["look_up"]


def test_prompt_is_not_stored_as_input(client: openai.OpenAI, seen: list[Request]) -> None:
    model = model_of(client)
    prompt: Any = {"id": "shop", "variables": {"goods": "tea", "n": "1"}}
    first = client.responses.create(model=model, prompt=prompt, input="One")
    client.responses.create(model=model, input="Two", previous_response_id=first.id)
    asked = [message.content for message in seen[-1].messages]
    assert asked == ["One", "fine", "Two"]


def test_file_becomes_a_variable(client: openai.OpenAI, seen: list[Request]) -> None:
    data = base64.b64encode(b"a list").decode()
    doc = {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{data}"}
    text = {"type": "input_text", "text": "tea"}
    prompt: Any = {"id": "shop", "variables": {"goods": text, "n": "1", "doc": doc}}
    client.responses.create(model=model_of(client), prompt=prompt)
    assert seen[-1].messages[1].content == "1 of S: a list"


GOODS: Any = {"goods": "tea", "n": "1"}


@pytest.mark.parametrize(
    ("prompt", "status", "param"),
    [
        ({"id": "nothing"}, 404, "prompt.id"),
        ({"id": "shop", "version": "9"}, 404, "prompt.version"),
        ({"id": "shop", "variables": {"n": 1}}, 400, "prompt.variables.goods"),
        ({"id": "shop", "variables": {"goods": "tea"}}, 400, "prompt.variables.n"),
        ({"id": "shop", "variables": GOODS | {"n": "many"}}, 400, "prompt.variables.n"),
        ({"id": "shop", "variables": GOODS | {"size": "XL"}}, 400, "prompt.variables.size"),
        ({"id": "shop", "variables": GOODS | {"colour": "red"}}, 400, "prompt.variables.colour"),
        ({"id": "shop", "variables": GOODS | {"doc": {"type": "input_image"}}}, 400,
         "prompt.variables.doc.type"),
        ({"id": "shop", "variables": GOODS | {"doc": {"type": "input_file", "file_data": "?"}}},
         400, "prompt.variables.doc.file_data"),
        ({"id": "shop", "variables": [1]}, 400, "prompt.variables"),
        ({"version": "1"}, 400, "prompt.id"),
        ({"id": "shop", "colour": 1}, 400, "prompt.colour"),
        ("shop", 400, "prompt"),
    ],
)  # fmt: skip
def test_bad_reference_names_field(
    client: openai.OpenAI, prompt: Any, status: int, param: str
) -> None:
    body = {"model": model_of(client), "prompt": prompt}
    with pytest.raises(openai.APIStatusError) as caught:
        client.post("/responses", body=body, cast_to=object)
    assert (caught.value.status_code, caught.value.param) == (status, param)
    assert param in str(caught.value)
