"""``/v1/conversations`` through the unmodified `openai` client, and what we add through httpx."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.protocol import Request
from playground.services import Services
from playground.settings import Settings
from playground.store.conversations import Conversations
from tests.playground.api.serving import running

HELLO: Any = [{"type": "message", "role": "user", "content": "Hello, Zolpar!"}]


@pytest.fixture(scope="module")
def seen() -> list[Request]:
    return []


@pytest.fixture(scope="module")
def client(
    seen: list[Request], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    """Answers ``fine``; what it was asked is in ``seen``."""

    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["fi", "ne"]

    store = Conversations(tmp_path_factory.mktemp("home"))
    services = Services.create(ScriptedBackend(script), Settings(), conversations=store)
    with (
        running(create_api(services)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as opened,
    ):
        yield opened
    store.close()


@pytest.fixture(scope="module")
def http(client: openai.OpenAI) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(client.base_url)) as opened:
        yield opened


def item_texts(client: openai.OpenAI, conversation_id: str) -> list[str]:
    items: Any = client.conversations.items.list(conversation_id, order="asc")
    return [item.content[0].text for item in items]


def test_conversation_has_its_life(client: openai.OpenAI) -> None:
    made = client.conversations.create(items=HELLO, metadata={"topic": "demo"})
    assert made.object == "conversation"
    assert client.conversations.retrieve(made.id).metadata == {"topic": "demo"}
    changed = client.conversations.update(made.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)


def test_items_are_added_listed_removed(client: openai.OpenAI) -> None:
    made = client.conversations.create()
    more: Any = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye."}]
    added = client.conversations.items.create(made.id, items=[*HELLO, *more])
    assert item_texts(client, made.id) == ["Hello, Zolpar!", "Hi.", "Bye."]
    page = client.conversations.items.list(made.id, limit=2)
    assert [item.id for item in page.data] == [added.data[2].id, added.data[1].id]
    assert page.has_more
    one: Any = client.conversations.items.retrieve(str(added.data[1].id), conversation_id=made.id)
    assert (one.role, one.content[0].type, one.status) == ("assistant", "output_text", "completed")
    client.conversations.items.delete(one.id, conversation_id=made.id)
    assert item_texts(client, made.id) == ["Hello, Zolpar!", "Bye."]


def test_response_goes_on_with_it(client: openai.OpenAI, seen: list[Request]) -> None:
    made = client.conversations.create(items=HELLO)
    response = client.responses.create(model="scripted", input="And?", conversation=made.id)
    assert [message.content for message in seen[-1].messages] == ["Hello, Zolpar!", "And?"]
    assert response.conversation
    assert response.conversation.id == made.id
    events = client.responses.create(
        model="scripted", input="Then?", conversation={"id": made.id}, stream=True
    )
    assert list(events)[-1].type == "response.completed"
    said = ["Hello, Zolpar!", "And?", "fine", "Then?", "fine"]
    assert item_texts(client, made.id) == said
    stored: Any = client.conversations.items.list(made.id, order="asc")
    assert response.output[0].id in [item.id for item in stored]


def test_instructions_of_it_are_read(
    client: openai.OpenAI, http: httpx.Client, seen: list[Request]
) -> None:
    made = http.post("conversations", json={"instructions": "Be brief."}).json()
    client.responses.create(model="scripted", input="Hi", conversation=made["id"])
    assert seen[-1].messages[0].content == "Be brief."


def test_unusable_conversation_of_response_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="conv_9"):
        client.responses.create(model="scripted", input="x", conversation="conv_9")
    with pytest.raises(openai.BadRequestError, match="exclude each other"):
        client.responses.create(
            model="scripted", input="x", conversation="conv_9", previous_response_id="resp_1"
        )


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"content": "x"}, r"items\[0\].role: is needed of a message"),
        ({"role": "king", "content": "x"}, r"items\[0\].role: Input should be 'user'"),
        ({"role": "user", "content": [{"type": "input_image"}]}, r"items\[0\].content\[0\].type"),
        ({"type": "item_reference", "id": "msg_1"}, r"items\[0\].type: a reference is no item"),
        ({"type": "function_call_output", "output": "x"}, r"items\[0\].call_id: is needed"),
    ],
)
def test_broken_item_is_named(client: openai.OpenAI, item: Any, problem: str) -> None:
    with pytest.raises(openai.BadRequestError, match=problem):
        client.conversations.create(items=[item])


def test_list_searches_and_filters(http: httpx.Client) -> None:
    body = {"items": HELLO, "title": "Kentig", "folder": "Shop", "tags": ["price"]}
    made = http.post("conversations", json=body).json()
    for query in ("query=kentig+zolp", "folder=Shop", "tag=price"):
        (found,) = http.get(f"conversations?{query}").json()["data"]
        assert found["id"] == made["id"]
    assert (
        http.get("conversations?query=kentig").json()["data"][0]["snippet"].startswith("«Kentig»")
    )
    http.post(f"conversations/{made['id']}", json={"archived": True, "title": "Old"})
    assert http.get("conversations?folder=Shop").json()["data"] == []
    (found,) = http.get("conversations?folder=Shop&archived=true").json()["data"]
    assert found["title"] == "Old"
    assert {"name": "Shop", "count": 1} in http.get("conversations/folders").json()["data"]
    assert {"name": "price", "count": 1} in http.get("conversations/tags").json()["data"]


def test_fork_and_branches(client: openai.OpenAI, http: httpx.Client) -> None:
    made = client.conversations.create(items=HELLO)
    first, *_ = client.conversations.items.list(made.id).data
    more: Any = [{"role": "assistant", "content": "Hi."}]
    client.conversations.items.create(made.id, items=more)
    fork = http.post(f"conversations/{made.id}/fork", json={"item_id": first.id}).json()
    assert item_texts(client, fork["id"]) == ["Hello, Zolpar!"]
    (branch,) = http.get(f"conversations/{made.id}/branches").json()["data"]
    assert (branch["items"], branch["current"]) == (2, True)


def test_export_is_imported_again(client: openai.OpenAI, http: httpx.Client) -> None:
    made = client.conversations.create(items=HELLO)
    exported = http.get("conversations/export", params={"id": made.id})
    assert "conversations.json" in exported.headers["content-disposition"]
    client.conversations.delete(made.id)
    files = {"file": ("any.json", exported.content)}
    assert http.post("conversations/import", files=files).json()["imported"] == 1
    assert http.post("conversations/import", files=files).json()["known"] == 1
    assert item_texts(client, made.id) == ["Hello, Zolpar!"]
    refused = http.post("conversations/import", files={"file": ("any.json", b"[5]")})
    assert refused.status_code == 400
    assert "conversation 1: is int, not an object" in refused.json()["error"]["message"]


def test_rows_are_exported_by_folder(http: httpx.Client) -> None:
    answer = {"role": "assistant", "content": "Hi."}
    http.post("conversations", json={"items": [*HELLO, answer], "folder": "Rows"})
    rows = http.get("conversations/export", params={"folder": "Rows", "format": "rows"})
    (row,) = map(json.loads, rows.text.splitlines())
    assert [message["content"] for message in row["messages"]] == ["Hello, Zolpar!", "Hi."]
