"""The OpenAPI document and its page, and answers that stay within it."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from playground.api import create_api
from playground.api.openapi import describe_type
from playground.api.parameters import CHAT
from playground.api.schemas import ChatBody
from playground.backends.local import LocalBackend
from playground.lab.batches import Batches
from playground.services import Services
from playground.settings import AccessSettings, Settings
from playground.store.completions import Completions
from playground.store.responses import Responses
from playground.store.uploads import Uploads
from playground.studio.studio import Studio
from tests.playground.api.serving import running

STREAMED = "/v1/chat/completions"
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 1.5, "", "x", "embedded", "[INST]</s>", "\u202e\U0001f600", [], {},
    [None], {"a": [{}]}, [[[[]]]], "9" * 50, ["x"] * 20, {"type": "function"},
)  # fmt: skip
CASES = 120


@pytest.fixture(scope="module")
def url(backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    batches, completions = Batches(home, Uploads(home)), Completions(home)
    responses = Responses(home)
    services = Services.create(
        backend,
        Settings(home=home, access=AccessSettings()),
        studio=Studio(home, backend.loaded, backend),
        batches=batches,
        completions=completions,
        responses=responses,
    )
    with running(create_api(services)) as url:
        yield url
    for store in (batches, completions, responses):
        store.close()


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    found = httpx.get(f"{url}/v1/openapi.json")
    assert found.status_code == 200
    parsed: dict[str, Any] = found.json()
    return parsed


def test_every_reference_is_there(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    named = set(re.findall(r"#/components/schemas/([\w-]+)", text))
    assert named <= set(document["components"]["schemas"])
    assert "$defs" not in text
    assert "422" not in text


def test_schemas_of_bodies_are_schemas(document: dict[str, Any]) -> None:
    assert len(document["paths"]) > 50
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_document_names_every_chat_parameter(document: dict[str, Any]) -> None:
    shown = document["components"]["schemas"]["ChatBody"]["properties"]
    assert set(shown) == {*ChatBody.model_fields, *CHAT.ignored, *CHAT.refused}
    assert shown["audio"]["description"].startswith("Refused: ")
    assert shown["user"]["description"].startswith("Ignored: ")
    assert describe_type(shown["stop"]) == "string or list of string or null"


def test_page_lists_operations_without_other_hosts(url: str, document: dict[str, Any]) -> None:
    page = httpx.get(f"{url}/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "src=" not in page.text
    assert "script" not in page.text.replace("description", "").replace("transcript", "")


def faulty(draw: random.Random, schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return a body of the schema's fields with values of all kinds, mostly wrong ones."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][describe_type(schema)]
    fields = list(schema.get("properties", {}))
    chosen = draw.sample(fields, k=min(len(fields), draw.randrange(5)))
    required = [name for name in schema.get("required", []) if draw.random() < 0.9]
    usual = {"model": "embedded", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    body = {name: usual.get(name, draw.choice(ODD)) for name in required}
    return body | {name: draw.choice(ODD) for name in chosen}


@pytest.mark.slow
def test_odd_requests_get_documented_answers(url: str, document: dict[str, Any]) -> None:
    draw = random.Random(24)
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path != "/v1/fine-tunes/models/limits"
    ]
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(CASES):
            method, path, operation = draw.choice(operations)
            names = re.findall(r"{(\w+)}", path)
            filled = path.format(
                **{name: draw.choice(["embedded", "x", "file-0"]) for name in names}
            )
            content = operation.get("requestBody", {}).get("content", {})
            body = {}
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                body = {"json": faulty(draw, schema, document)}
            query = {
                each["name"]: draw.choice(["0", "-1", "x", "999999999999999999999"])
                for each in operation.get("parameters", [])
                if each["in"] == "query" and draw.random() < 0.5
            }
            reply = client.request(method, filled, params=query, **body)
            what = (method, filled, query, body, reply.status_code, reply.text[:300])
            assert str(reply.status_code) in operation["responses"], what
            assert reply.status_code < 500 or path == "/health", what


def test_wrong_bodies_of_bytes_are_refused(url: str) -> None:
    draw = random.Random(7)
    valid = json.dumps({"model": "embedded", "messages": [{"role": "user", "content": "é"}]})
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=url) as client:
        for _ in range(60):
            data = bytearray(valid.encode())
            for _ in range(draw.randrange(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            reply = client.post(STREAMED, content=bytes(data), headers=headers)
            assert reply.status_code in (200, 400, 404), (bytes(data), reply.text)
