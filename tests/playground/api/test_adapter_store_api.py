"""`/v1/adapters`: versions are promoted, rolled back, retired and deleted while they are served."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.playground.adapter_files import random_adapter
from tests.playground.api.fine_tuning_client import training_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    with training_server(tmp_path_factory.mktemp("home")) as client:
        yield client


@pytest.fixture
def client(server: openai.OpenAI, tmp_path: Path) -> Iterator[openai.OpenAI]:
    """A server whose store has two versions of ``desk``, the first promoted."""
    store = server.studio.store  # type: ignore[attr-defined]
    for seed in (1, 2):
        store.publish(random_adapter(tmp_path / str(seed), seed, r=4), "desk")
    server.studio.promote("desk", "v1")  # type: ignore[attr-defined]
    yield server
    server.studio.remove("desk")  # type: ignore[attr-defined]


def post(client: openai.OpenAI, action: str, **body: str) -> dict[str, object]:
    reply = client.post(f"/adapters/desk/{action}", body=body, cast_to=object)
    assert isinstance(reply, dict)
    return reply


def served(client: openai.OpenAI) -> list[str]:
    return [model.id for model in client.models.list() if ":" in model.id]


def test_adapters_are_listed(client: openai.OpenAI) -> None:
    body = client.get("/adapters", cast_to=object)
    (adapter,) = body["data"]  # type: ignore[index]
    assert (adapter["id"], adapter["promoted"]) == ("desk", "v1")
    assert adapter["model"] == "embedded:desk"
    assert [v["model"] for v in adapter["versions"]] == ["embedded:desk.v1", "embedded:desk.v2"]


@pytest.mark.parametrize("name", ["embedded:desk.v2", "desk.v2"])
def test_stored_version_is_a_model(client: openai.OpenAI, name: str) -> None:
    assert client.models.retrieve(name).id == "embedded:desk.v2"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("desk.v9")


def test_promote_points_name_at_version(client: openai.OpenAI) -> None:
    assert post(client, "promote", version="v2")["promoted"] == "v2"
    assert served(client) == ["embedded:desk"]


def test_promote_unknown_version_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="desk/v9"):
        post(client, "promote", version="v9")


def test_rollback_points_at_one_before(client: openai.OpenAI) -> None:
    post(client, "promote", version="v2")
    assert post(client, "rollback")["promoted"] == "v1"


def test_rollback_without_one_before_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.ConflictError, match="promoted before"):
        post(client, "rollback")


def test_retire_stops_serving(client: openai.OpenAI) -> None:
    assert post(client, "retire")["model"] is None
    assert served(client) == []


def test_delete_removes_version(client: openai.OpenAI) -> None:
    client.delete("/adapters/desk/v2", cast_to=object)
    adapter = client.get("/adapters/desk", cast_to=object)
    assert [v["version"] for v in adapter["versions"]] == ["v1"]  # type: ignore[index]


def test_delete_of_promoted_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.ConflictError, match="promoted"):
        client.delete("/adapters/desk/v1", cast_to=object)


def test_version_is_served_by_its_name(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="embedded:desk.v2", prompt="Hello", max_tokens=2)
    assert answer.model == "embedded:desk.v2"


def test_export_is_downloaded_whole(client: openai.OpenAI, tmp_path: Path) -> None:
    made = client.post("/adapters/desk/v2/export", body={"to": "peft"}, cast_to=object)
    assert isinstance(made, dict)
    again = client.post("/adapters/desk/v2/export", body={"to": "peft"}, cast_to=object)
    assert again == made
    server = str(client.base_url).removesuffix("/v1/")
    reply = httpx.get(f"{server}{made['url']}")
    (tmp_path / "export.tar").write_bytes(reply.content)
    with tarfile.open(tmp_path / "export.tar") as tar:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            sent = tar.extractfile(f"{made['id']}/{name}")
            assert sent is not None
            assert sent.read() == (Path(made["folder"]) / name).read_bytes()


def test_removed_export_is_gone(client: openai.OpenAI) -> None:
    made = client.post("/adapters/desk/v1/export", body={"to": "peft"}, cast_to=object)
    assert isinstance(made, dict)
    client.delete(f"/exports/{made['id']}", cast_to=object)
    with pytest.raises(openai.NotFoundError, match="no export"):
        client.get(f"/exports/{made['id']}", cast_to=object)
    with pytest.raises(openai.BadRequestError, match="to"):
        client.post("/adapters/desk/v1/export", body={"to": "zip"}, cast_to=object)
