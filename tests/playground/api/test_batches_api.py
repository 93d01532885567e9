"""``/v1/batches`` through the unmodified `openai` and `together` clients, and across a kill."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import openai
import pytest
import together

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.lab.batches import Batches
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import AccessSettings, Settings
from playground.store.uploads import Uploads
from playground.studio.studio import Studio
from tests.playground.api.serving import running
from tests.playground.conftest import killable_playground

WAIT_S = 60
CHAT: Final = "/v1/chat/completions"


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    home = tmp_path_factory.mktemp("home")
    batches = Batches(home, Uploads(home), 4)
    yield batches
    batches.close()


@pytest.fixture(scope="module")
def url(batches: Batches, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = batches.home
    settings = Settings(home=home, access=AccessSettings())
    with (
        LocalBackend(load(ModelSpec("embedded"))) as host,
        Studio(home, host.loaded, host, host.throttle.wait) as studio,
        running(create_api(Services.create(host, settings, studio=studio, batches=batches))) as url,
    ):
        yield url
        batches.close()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


def question(number: int, **fields: Any) -> dict[str, Any]:
    """Return a line that asks for a few tokens."""
    body: dict[str, Any] = {
        "model": "embedded",
        "messages": [{"role": "user", "content": f"What is {number} plus {number}?"}],
        "temperature": 0,
        "max_tokens": 4,
    }
    return {"custom_id": f"q{number}", "method": "POST", "url": CHAT, "body": body | fields}


def upload(client: openai.OpenAI, folder: Path, *lines: object) -> str:
    path = folder / "requests.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts))
    return client.files.create(file=path, purpose="batch").id


def lines_of(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


@pytest.fixture
def finished(
    client: openai.OpenAI, batches: Batches, tmp_path: Path
) -> Callable[..., openai.types.Batch]:
    """``finished(*lines)`` uploads the lines and returns their batch at its end."""

    def do(*lines: object, endpoint: Any = CHAT) -> openai.types.Batch:
        file = upload(client, tmp_path, *lines)
        made = client.batches.create(
            input_file_id=file, endpoint=endpoint, completion_window="24h", metadata={"a": "b"}
        )
        assert made.status in ("validating", "in_progress")
        batches.wait(made.id, WAIT_S)
        return client.batches.retrieve(made.id)

    return do


@pytest.mark.slow
def test_batch_answers_are_the_endpoints(
    client: openai.OpenAI, finished: Callable[..., openai.types.Batch]
) -> None:
    batch = finished(*(question(number) for number in range(6)))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (6, 6)
    assert batch.error_file_id is None
    assert batch.metadata == {"a": "b"}
    lines = lines_of(client, batch.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"q{number}" for number in range(6)]
    alone = client.chat.completions.create(**question(3)["body"])
    body = lines[3]["response"]["body"]
    assert body["choices"][0]["message"]["content"] == alone.choices[0].message.content
    assert lines[3]["response"]["request_id"].startswith("req_")
    assert batch.usage is not None
    assert batch.usage.output_tokens == sum(
        line["response"]["body"]["usage"]["completion_tokens"] for line in lines
    )


def test_failed_requests_name_their_lines(
    client: openai.OpenAI, finished: Callable[..., openai.types.Batch]
) -> None:
    batch = finished(
        question(0),
        question(1, model="nobody"),
        question(2, stream=True),
        question(3, temperature="hot"),
    )
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 3)
    errors = lines_of(client, batch.error_file_id)
    assert [(line["custom_id"], line["line"]) for line in errors] == [
        ("q1", 2),
        ("q2", 3),
        ("q3", 4),
    ]
    assert [line["response"]["status_code"] for line in errors] == [404, 400, 400]
    assert errors[2]["response"]["body"]["error"]["param"] == "temperature"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("{", "invalid_json_line", "line 2 is not JSON"),
        ("[]", "invalid_json_line", "not a JSON object"),
        ({"body": {}}, "invalid_request", "custom_id must be a text"),
        (question(0), "duplicate_custom_id", "that of line 1"),
        (question(1) | {"url": "/v1/embeddings"}, "invalid_request", "url is not"),
        (question(1) | {"method": "GET"}, "invalid_request", "method must be POST"),
        (question(1) | {"body": 1}, "invalid_request", "body must be a JSON object"),
        (question(1) | {"extra": 1}, "invalid_request", "extra is unknown"),
    ],
)
def test_broken_lines_fail_the_batch(
    finished: Callable[..., openai.types.Batch], line: object, code: str, words: str
) -> None:
    batch = finished(question(0), line)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    (problem,) = batch.errors.data
    assert (problem.line, problem.code) == (2, code)
    assert words in str(problem.message)


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/completions", {"model": "embedded", "prompt": "Hello", "max_tokens": 2}),
        ("/v1/responses", {"model": "embedded", "input": "Hello", "max_output_tokens": 2}),
    ],
)
def test_other_endpoints_have_batches(
    client: openai.OpenAI,
    finished: Callable[..., openai.types.Batch],
    endpoint: str,
    body: dict[str, Any],
) -> None:
    line = {"custom_id": "one", "method": "POST", "url": endpoint, "body": body}
    batch = finished(line, endpoint=endpoint)
    (answer,) = lines_of(client, batch.output_file_id)
    assert answer["response"]["body"]["object"] in ("text_completion", "response")
    assert batch.usage is not None
    assert batch.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "8d"}, "completion_window"),
        ({"input_file_id": "file-0"}, "input_file_id"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None),
    ],
)
def test_wrong_batches_name_the_field(
    client: openai.OpenAI, tmp_path: Path, changes: Any, param: str | None
) -> None:
    values: Any = {"endpoint": CHAT, "completion_window": "24h"} | changes
    if "input_file_id" not in values:
        values["input_file_id"] = upload(client, tmp_path, question(0))
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        client.batches.create(**values)
    assert caught.value.param == (param or "output_expires_after.seconds")


def test_batches_are_listed_in_pages(
    client: openai.OpenAI, finished: Callable[..., openai.types.Batch]
) -> None:
    made = [finished("{").id for _ in range(3)]
    listed = [batch.id for batch in client.batches.list(limit=1)]
    assert listed[:3] == made[::-1]
    assert len(listed) == len(set(listed))


@pytest.mark.slow
def test_cancelled_batch_keeps_its_answers(
    client: openai.OpenAI, batches: Batches, tmp_path: Path
) -> None:
    long = [question(number, max_tokens=400, ignore_eos=True) for number in range(1, 40)]
    file = upload(client, tmp_path, question(0), *long)
    made = client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")
    while not client.batches.retrieve(made.id).request_counts.completed:  # type: ignore[union-attr]
        pass
    assert client.batches.cancel(made.id).status in ("cancelling", "cancelled")
    batches.wait(made.id, WAIT_S)
    done = client.batches.retrieve(made.id)
    assert (done.status, done.error_file_id) == ("cancelled", None)
    assert done.request_counts is not None
    answered = lines_of(client, done.output_file_id)
    assert "q0" in [line["custom_id"] for line in answered]
    assert len(answered) == done.request_counts.completed < 40
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(made.id)


@pytest.mark.slow
def test_expired_batch_lists_the_unanswered(
    client: openai.OpenAI, batches: Batches, tmp_path: Path
) -> None:
    long = [question(number, max_tokens=1500, ignore_eos=True) for number in range(1, 30)]
    file = upload(client, tmp_path, question(0), *long)
    made = client.batches.create(
        input_file_id=file,
        endpoint=CHAT,
        completion_window="1s",  # type: ignore[arg-type]
    )
    batches.wait(made.id, WAIT_S)
    done = client.batches.retrieve(made.id)
    assert done.status == "expired"
    errors = lines_of(client, done.error_file_id)
    assert {line["error"]["code"] for line in errors} == {"batch_expired"}
    answered = lines_of(client, done.output_file_id) if done.output_file_id else []
    ids = [line["custom_id"] for line in answered + errors]
    assert sorted(ids) == sorted(f"q{number}" for number in range(30))


def test_embeddings_batch_fails_by_line(
    client: openai.OpenAI, finished: Callable[..., openai.types.Batch]
) -> None:
    body = {"model": "embedded", "input": "Hello"}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/embeddings", "body": body}
    (error,) = lines_of(client, finished(line, endpoint="/v1/embeddings").error_file_id)
    assert error["response"]["body"]["error"]["code"] == "embeddings_not_supported"


def test_together_client_runs_a_batch(url: str, batches: Batches, tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    lines = [{"custom_id": f"q{n}", "body": question(n)["body"]} for n in range(2)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with together.Together(base_url=url, api_key="any", max_retries=0) as client:
        file = client.files.upload(path, purpose="batch-api", check=False)
        made = client.batches.create(input_file_id=str(file.id), endpoint=CHAT)
        assert made.job is not None
        batches.wait(str(made.job.id), WAIT_S)
        job = client.batches.retrieve(str(made.job.id))
        assert (job.status, job.progress) == ("COMPLETED", 100)
        assert job.id in [each.id for each in client.batches.list()]
        content = client.files.content(str(job.output_file_id)).read().decode()
    assert [json.loads(line)["custom_id"] for line in content.splitlines()] == ["q0", "q1"]


@pytest.mark.slow
def test_killed_server_answers_the_rest_once(tmp_path: Path) -> None:
    count = 60
    home = tmp_path / "home"
    with killable_playground(home) as (url, process):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        lines = (question(number, max_tokens=40, ignore_eos=True) for number in range(count))
        file = upload(client, tmp_path, *lines)
        made = client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")
        while not client.batches.retrieve(made.id).request_counts.completed:  # type: ignore[union-attr]
            pass
        process.kill()
    kept = Batches(home, Uploads(home))
    before = kept.find(made.id)
    kept.close()
    assert before.status == "in_progress"
    assert 0 < before.completed < count
    with killable_playground(home) as (url, _):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        while (done := client.batches.retrieve(made.id)).status == "in_progress":
            pass
        answered = [line["custom_id"] for line in lines_of(client, done.output_file_id)]
    assert done.status == "completed"
    assert answered == [f"q{number}" for number in range(count)]
