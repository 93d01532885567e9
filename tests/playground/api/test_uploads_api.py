"""``/v1/uploads`` through the unmodified `openai` client."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.services import Services
from playground.settings import Settings
from playground.studio.studio import Studio
from tests.playground.api.serving import running

DATA = b'{"prompt": "a", "completion": "b"}\n' * 3


@pytest.fixture(scope="module")
def client(
    backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    home = tmp_path_factory.mktemp("home")
    studio = Studio(home, backend.loaded, backend)
    with (
        running(create_api(Services.create(backend, Settings(home=home), studio=studio))) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client


def announced(client: openai.OpenAI, **fields: Any) -> str:
    values: Any = {
        "filename": "rows.jsonl",
        "purpose": "fine-tune",
        "bytes": len(DATA),
        "mime_type": "text/jsonl",
    }
    return client.uploads.create(**values | fields).id


def parts(client: openai.OpenAI, upload_id: str, *pieces: bytes) -> list[str]:
    return [client.uploads.parts.create(upload_id, data=piece).id for piece in pieces]


def test_parts_become_a_file(client: openai.OpenAI) -> None:
    upload_id = announced(client, expires_after={"anchor": "created_at", "seconds": 3600})
    second, first = parts(client, upload_id, DATA[50:], DATA[:50])
    digest = hashlib.md5(DATA).hexdigest()
    done = client.uploads.complete(upload_id, part_ids=[first, second], md5=digest)
    assert done.status == "completed"
    assert done.file is not None
    assert client.files.content(done.file.id).content == DATA
    assert done.file.expires_at == done.file.created_at + 3600


def test_client_uploads_in_chunks(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(DATA)
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=20
    )
    assert done.file is not None
    assert client.files.content(done.file.id).content == DATA


@pytest.mark.parametrize(
    ("pieces", "chosen", "md5", "param"),
    [
        ([DATA[:-1]], [0], "", "part_ids"),
        ([DATA], [0, 0], "", "part_ids[1]"),
        ([DATA], ["part_0"], "", "part_ids[0]"),
        ([DATA], [0], "0" * 32, "md5"),
    ],
)
def test_wrong_completion_refused(
    client: openai.OpenAI, pieces: list[bytes], chosen: list[Any], md5: str, param: str
) -> None:
    upload_id = announced(client)
    ids = parts(client, upload_id, *pieces)
    wanted = [ids[each] if isinstance(each, int) else each for each in chosen]
    fields: Any = {"md5": md5} if md5 else {}
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload_id, part_ids=wanted, **fields)
    assert caught.value.param == param


@pytest.mark.parametrize("data", [b"", DATA + b"x"])
def test_wrong_part_refused(client: openai.OpenAI, data: bytes) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        parts(client, announced(client), data)
    assert caught.value.param == "data"


def test_cancelled_upload_takes_no_parts(client: openai.OpenAI) -> None:
    upload_id = announced(client)
    (part,) = parts(client, upload_id, DATA)
    assert client.uploads.cancel(upload_id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        parts(client, upload_id, DATA)
    with pytest.raises(openai.ConflictError):
        client.uploads.complete(upload_id, part_ids=[part])


@pytest.mark.parametrize("fields", [{"bytes": 0}, {"bytes": 2**40}, {"purpose": "vision"}])
def test_wrong_upload_refused(client: openai.OpenAI, fields: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        announced(client, **fields)
    assert caught.value.param == next(iter(fields))


def test_unknown_upload_is_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.uploads.cancel("upload_0")
