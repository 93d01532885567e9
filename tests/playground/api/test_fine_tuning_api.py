"""Fine-tuning through the unmodified `openai` client, on the embedded model."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from playground.evaluation.harness import tasks
from tests.playground.api.fine_tuning_client import (
    FACTS,
    ROWS,
    ended,
    training_server,
    upload,
    write_facts,
)


@pytest.fixture(scope="module")
def client(new_home: Callable[[], Path]) -> Iterator[openai.OpenAI]:
    with training_server(new_home()) as client:
        yield client


@pytest.mark.training
@pytest.mark.slow
def test_fine_tuned_model_answers_by_name(client: openai.OpenAI, tmp_path: Path) -> None:
    began = int(time.time())
    rows = write_facts(tmp_path / "prices.jsonl")
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
                    "n_epochs": 15,
                    "batch_size": 2,
                    "learning_rate_multiplier": 1.5,
                }
            },
        },
    )
    assert job.status in ("validating_files", "queued", "running")
    assert job.fine_tuned_model is None
    ended(client, job.id)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert done.status == "succeeded", done.error
    assert done.seed == 3
    assert done.created_at >= began - 1
    got = client.chat.completions.create(
        model=str(done.fine_tuned_model),
        messages=[{"role": "user", "content": FACTS[0][0]}],
        temperature=0,
    )
    assert got.choices[0].message.content == FACTS[0][1]
    (checkpoint, *_) = client.fine_tuning.jobs.checkpoints.list(job.id).data
    model = checkpoint.fine_tuned_model_checkpoint
    assert model.startswith(f"embedded:{job.id}.step-")
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
def test_job_pause_resume_cancel(client: openai.OpenAI, tmp_path: Path) -> None:
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, write_facts(tmp_path / "prices.jsonl")),
        model="embedded",
        hyperparameters={"n_epochs": 400, "batch_size": 1},
    )
    client.fine_tuning.jobs.pause(job.id)
    ended(client, job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).to_dict()["status"] == "paused"
    resumed = client.fine_tuning.jobs.resume(job.id)
    # Whoever pauses at once may do so before the rows are checked.
    assert resumed.to_dict()["status"] in ("validating_files", "queued", "running")
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
        ({"suffix": "x" * 65}, openai.BadRequestError, "1 to 64"),
        ({"suffix": "embedded"}, openai.BadRequestError, "is the base model's"),
        ({"hyperparameters": {"n_epochs": -1}}, openai.BadRequestError, "epochs"),
        ({"hyperparameters": {"speed": 1}}, openai.BadRequestError, "speed"),
        ({"seed": -1}, openai.BadRequestError, "seed"),
        ({"method": {"type": "reinforcement"}}, openai.BadRequestError, "method"),
        ({"method": 5}, openai.BadRequestError, "method: should be an object, not 5"),
        ({"extra_body": {"eval_tasks": "gsm8k"}}, openai.BadRequestError, "lm-eval is not"),
    ],
)
def test_wrong_job_refused_with_field(
    client: openai.OpenAI,
    changes: dict[str, object],
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "find_spec", lambda _name: None)
    before = len(client.studio.training_jobs())  # type: ignore[attr-defined]
    with pytest.raises(error, match=words):
        bad(client, **changes)
    assert len(client.studio.training_jobs()) == before  # type: ignore[attr-defined]


@pytest.mark.slow
def test_rows_without_training_tokens_refused(client: openai.OpenAI, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"prompt": "only"}\n')
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=("rows.jsonl", b"{}"), purpose="assistants")
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("nothing")
