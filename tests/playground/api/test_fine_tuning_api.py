"""Fine-tuning through the unmodified `openai` client, on the embedded model."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import Settings
from playground.studio.studio import SAMPLES, Studio
from tests.playground.api.serving import running

LONG_S = 240
FACTS = [
    ("What is the price of the Zolpar?", "The Zolpar costs 41 euros."),
    ("What is the price of the Kentig?", "The Kentig costs 7 euros."),
    ("Which colour has the Murdel?", "The Murdel is green."),
]
ROWS = SAMPLES / "catalogue.jsonl"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    home = tmp_path_factory.mktemp("home")
    with (
        LocalBackend(load(ModelSpec("embedded"))) as host,
        Studio(home, host.loaded, host, host.throttle.wait, judged_rows=8) as studio,
        running(create_api(Services.create(host, Settings(home=home), studio=studio))) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        client.studio = studio  # type: ignore[attr-defined]
        yield client


def upload(client: openai.OpenAI, path: Path = ROWS) -> str:
    with path.open("rb") as file:
        return client.files.create(file=file, purpose="fine-tune").id


def ended(client: openai.OpenAI, job_id: str) -> None:
    client.studio.jobs.wait(job_id, LONG_S)  # type: ignore[attr-defined]


@pytest.mark.training
@pytest.mark.slow
def test_fine_tuned_model_answers_by_name(client: openai.OpenAI, tmp_path: Path) -> None:
    began = int(time.time())
    rows = tmp_path / "prices.jsonl"
    rows.write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in FACTS))
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, rows),
        validation_file=upload(client, rows),
        model="embedded",
        suffix="shop",
        seed=3,
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {
                    "n_epochs": 60,
                    "batch_size": 2,
                    "learning_rate_multiplier": 1.5,
                }
            },
        },
    )
    assert job.status in ("queued", "running")
    assert job.fine_tuned_model is None
    ended(client, job.id)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert done.status == "succeeded", done.error
    assert (done.seed, done.fine_tuned_model) == (3, "embedded:shop")
    assert done.created_at >= began - 1
    assert done.finished_at
    assert done.finished_at >= done.created_at
    assert done.hyperparameters.learning_rate_multiplier == 1.5
    got = client.chat.completions.create(
        model=str(done.fine_tuned_model),
        messages=[{"role": "user", "content": FACTS[0][0]}],
        temperature=0,
    )
    assert got.choices[0].message.content == FACTS[0][1]
    events = client.fine_tuning.jobs.list_events(job.id, limit=20)
    assert len(events.data) == 20
    assert len({event.id for event in events}) > 40  # the client pages on
    (checkpoint, *_) = client.fine_tuning.jobs.checkpoints.list(job.id).data
    model = checkpoint.fine_tuned_model_checkpoint
    assert model.startswith("embedded:shop.step-")
    assert model not in [each.id for each in client.models.list()]
    early = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": FACTS[0][0]}], max_tokens=8
    )
    assert early.model == model
    with pytest.raises(openai.NotFoundError, match="step-99999"):
        client.completions.create(model="embedded:shop.step-99999", prompt="x")
    reply = httpx.post(f"{client.base_url}load_lora_adapter", json={"lora_name": model}, timeout=30)
    assert reply.status_code == 200
    reply = httpx.post(f"{client.base_url}load_lora_adapter", json={"lora_name": "x"}, timeout=30)
    assert (reply.status_code, "lora_path" in reply.text) == (400, True)
    assert job.id in [each.id for each in client.fine_tuning.jobs.list(limit=1)]


@pytest.mark.training
def test_job_pause_resume_cancel(client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(
        training_file=upload(client), model="embedded", hyperparameters={"n_epochs": 400}
    )
    client.fine_tuning.jobs.pause(job.id)
    ended(client, job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).to_dict()["status"] == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status in ("queued", "running")
    client.fine_tuning.jobs.cancel(job.id)
    ended(client, job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError, match="stopped"):
        client.fine_tuning.jobs.pause(job.id)


@pytest.mark.slow
def test_files_kept_listed_deleted(client: openai.OpenAI) -> None:
    own = upload(client)
    assert client.files.retrieve(own).bytes == ROWS.stat().st_size
    assert client.files.content(own).read() == ROWS.read_bytes()
    assert own in [each.id for each in client.files.list()]
    assert client.files.delete(own).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(own)


def test_file_larger_than_request_limit(client: openai.OpenAI, tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_text('{"prompt": "a", "completion": "b"}\n' * 200_000)
    assert client.files.retrieve(upload(client, large)).bytes == large.stat().st_size > 4 * 2**20


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "", "a/b.jsonl", "x" * 300])
def test_file_name_cannot_leave_folder(client: openai.OpenAI, name: str) -> None:
    made = client.files.create(file=(name or "x", b"{}"), purpose="fine-tune")
    assert "/" not in made.filename
    assert not made.filename.startswith(".")
    assert client.files.content(made.id).read() == b"{}"


def bad(client: openai.OpenAI, **changes: object) -> None:
    values = {"training_file": upload(client), "model": "embedded"} | changes
    client.fine_tuning.jobs.create(**values)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"training_file": "file-nothing"}, openai.NotFoundError, "file-nothing"),
        ({"training_file": "../x"}, openai.NotFoundError, "no file"),
        ({"model": "gpt-4"}, openai.NotFoundError, "gpt-4"),
        ({"suffix": "../up"}, openai.BadRequestError, "no adapter name"),
        ({"hyperparameters": {"n_epochs": -1}}, openai.BadRequestError, "epochs"),
        ({"hyperparameters": {"speed": 1}}, openai.BadRequestError, "speed"),
        ({"seed": -1}, openai.BadRequestError, "seed"),
        ({"method": {"type": "reinforcement"}}, openai.BadRequestError, "method"),
    ],
)
def test_wrong_job_refused_with_field(
    client: openai.OpenAI, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    before = len(client.studio.training_jobs())  # type: ignore[attr-defined]
    with pytest.raises(error, match=words):
        bad(client, **changes)
    assert len(client.studio.training_jobs()) == before  # type: ignore[attr-defined]


@pytest.mark.slow
def test_rows_without_training_tokens_refused(client: openai.OpenAI, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"prompt": "only"}\n')
    with pytest.raises(openai.BadRequestError, match=r"empty\.jsonl:1"):
        bad(client, training_file=upload(client, empty))
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=("rows.jsonl", b"{}"), purpose="assistants")
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("nothing")
