"""Adapters over HTTP: loaded and unloaded while the server answers, picked by name."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import together

from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import ModelInfo
from tests.playground.adapter_files import random_adapter

QUESTION = [{"role": "user", "content": "What is the capital of Japan?"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    random_adapter(home / "adapters" / "cardiology", 5, r=8, lora_alpha=16)
    return home


@pytest.fixture
def url(home: Path, serve) -> Iterator[str]:
    loaded = load(ModelSpec("embedded"))
    with LocalBackend(loaded, ModelInfo(loaded.name, loaded.context_length, created=1)) as backend:
        yield serve(backend, {"home": home})


def post(url: str, call: str, **body: str | bool) -> httpx.Response:
    return httpx.post(f"{url}/v1/{call}", json=body, timeout=30)


@pytest.mark.slow
def test_loaded_adapter_listed_and_answers(url: str) -> None:
    reply = post(url, "load_lora_adapter", lora_name="cardiology", lora_path="cardiology")
    assert (reply.status_code, "added" in reply.text) == (200, True)
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["embedded", "embedded:cardiology"]
    asked = {"messages": QUESTION, "temperature": 0, "max_tokens": 12}
    base = client.chat.completions.create(model="embedded", **asked)
    whole = client.chat.completions.create(model="embedded:cardiology", **asked)
    bare = together.Together(base_url=url, api_key="none").chat.completions.create(
        model="cardiology", **asked
    )
    assert bare.choices[0].message.content == whole.choices[0].message.content
    assert whole.choices[0].message.content != base.choices[0].message.content


@pytest.mark.slow
def test_served_name_kept_unless_in_place(url: str) -> None:
    load = {"lora_name": "cardiology", "lora_path": "cardiology"}
    assert post(url, "load_lora_adapter", **load).status_code == 200
    reply = post(url, "load_lora_adapter", **load, load_inplace=False)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "lora_name"
    assert post(url, "load_lora_adapter", **load, load_inplace=True).status_code == 200


def test_unloaded_adapter_not_found(url: str) -> None:
    post(url, "load_lora_adapter", lora_name="cardiology", lora_path="cardiology")
    assert post(url, "unload_lora_adapter", lora_name="cardiology").status_code == 200
    assert post(url, "unload_lora_adapter", lora_name="cardiology").status_code == 404
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.NotFoundError, match="cardiology"):
        client.chat.completions.create(
            model="cardiology", messages=[{"role": "user", "content": "x"}]
        )


def test_load_folder_without_adapter_refused(url: str) -> None:
    reply = post(url, "load_lora_adapter", lora_name="nothing", lora_path="nothing")
    assert reply.status_code == 400
    assert "has no adapter_config.json" in reply.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"),
    [("lora_alpha", None), ("alpha_pattern", [["q_proj", 3]]), ("alpha_pattern", {"q_proj(": 3})],
)
def test_load_malformed_config_refused(url: str, home: Path, field: str, value: object) -> None:
    folder = random_adapter(home / "adapters" / "malformed", 5, r=8)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    reply = post(url, "load_lora_adapter", lora_name="malformed", lora_path="malformed")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "broken_adapter")
    assert f"adapter_config.json, {field}: " in reply.json()["error"]["message"]


def test_load_folder_outside_store_refused(url: str, tmp_path: Path) -> None:
    for path in (str(tmp_path), "../../etc"):
        reply = post(url, "load_lora_adapter", lora_name="x", lora_path=path)
        assert reply.status_code == 400
        assert "--adapters-from-anywhere" in reply.json()["error"]["message"]
