"""Fine-tuning through the unmodified `together` client: upload, train, download, chat."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import together
from safetensors.torch import load as load_tensors

from playground.store.uploads import Uploads
from tests.playground.api.fine_tuning_client import LONG_S, training_server, write_facts

pytestmark = [pytest.mark.training, pytest.mark.slow]

KEY = "open-sesame"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def server(new_home: Callable[[], Path]) -> Iterator[openai.OpenAI]:
    with training_server(new_home(), KEY) as client:
        yield client


@pytest.fixture(scope="module")
def client(server: openai.OpenAI) -> Iterator[together.Together]:
    host = str(server.base_url).removesuffix("/v1/")
    with together.Together(base_url=host, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows, and one that is left out."""
    folder = tmp_path_factory.mktemp("rows")
    return write_facts(folder / "rows.jsonl", '{"prompt": "only"}')


@pytest.fixture(scope="module")
def file_id(client: together.Together, rows: Path) -> str:
    return client.files.upload(rows, purpose="fine-tune", check=False).id


def wait(server: openai.OpenAI, client: together.Together, job_id: str) -> Any:
    """The job as it ended."""
    server.studio.jobs.wait(job_id, LONG_S)  # type: ignore[attr-defined]
    done: Any = client.fine_tuning.retrieve(job_id)
    assert done.status == "completed" or done.status == "cancelled", done.to_dict()["x_error"]
    return done


@pytest.fixture(scope="module")
def job(server: openai.OpenAI, client: together.Together, file_id: str) -> Any:
    """A job that has completed."""
    made = client.fine_tuning.create(
        training_file=file_id,
        validation_file=file_id,
        model="embedded",
        n_epochs=6,
        n_evals=3,
        n_checkpoints=2,
        batch_size=1,
        learning_rate=2e-3,
        lr_scheduler_type="linear",
        warmup_ratio=0.1,
        lora=True,
        lora_r=8,
        suffix="codes",
        random_seed=7,
    )
    assert made.status in ("queued", "running")
    return wait(server, client, made.id)


def refused(client: together.Together, **values: Any) -> together.APIStatusError:
    """The error of a request that bypasses the client's own checks."""
    with pytest.raises(together.APIStatusError) as caught:
        client.post("/v1/fine-tunes", body=values, cast_to=object)
    return caught.value


def param_of(error: together.APIStatusError) -> object:
    body: Any = error.body
    return body.get("error", body)["param"]


def test_upload_keeps_bytes(client: together.Together, file_id: str, rows: Path) -> None:
    kept = client.files.retrieve(file_id)
    assert (kept.filename, kept.bytes) == ("rows.jsonl", rows.stat().st_size)
    assert (kept.file_type, kept.processing_status) == ("jsonl", "COMPLETED")
    assert client.files.content(file_id).read() == rows.read_bytes()
    assert file_id in [file.id for file in client.files.list().data]


def test_upload_checks_and_deletes(client: together.Together, rows: Path) -> None:
    whole = rows.with_name("whole.jsonl")
    whole.write_text("".join(rows.read_text().splitlines(keepends=True)[:3]))
    upload = client.files.upload(str(whole))
    assert client.files.delete(upload.id).deleted
    with pytest.raises(together.NotFoundError):
        client.files.retrieve(upload.id)


def test_upload_beyond_other_bodies(client: together.Together, tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(b" " * (5 * 2**20))
    upload = client.files.upload(large, check=False)
    assert upload.bytes == 5 * 2**20
    client.files.delete(upload.id)


def announce(client: together.Together, **fields: str) -> httpx.Response:
    form = {"purpose": "fine-tune", "file_name": "rows.jsonl", "file_type": "jsonl"} | fields
    return httpx.post(f"{str(client.base_url).rstrip('/')}/v1/files", data=form, headers=AUTHORIZED)


def test_announced_file_needs_its_token(client: together.Together) -> None:
    target = httpx.URL(announce(client).headers["location"])
    assert httpx.put(target.copy_set_param("token", "guess"), content=b"x").status_code == 404
    assert httpx.put(target, content=b"x").status_code == 200
    assert httpx.put(target, content=b"y").status_code == 404


def test_wrong_checksum_keeps_nothing(client: together.Together) -> None:
    reply = announce(client, checksum="0" * 64)
    sent = httpx.put(reply.headers["location"], content=b"x")
    assert (sent.status_code, sent.json()["error"]["param"]) == (400, "checksum")
    with pytest.raises(together.NotFoundError):
        client.files.retrieve(reply.headers["x-together-file-id"])


def test_too_many_announced_files_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    for _ in range(100):
        uploads.announce("rows.jsonl", "fine-tune", "")
    with pytest.raises(Exception, match="waiting"):
        uploads.announce("rows.jsonl", "fine-tune", "")


def test_job_completes_and_answers(client: together.Together, job: Any) -> None:
    assert job.status == "completed", job.to_dict()
    answer = client.chat.completions.create(
        model=job.x_model_output_name, messages=HELLO, max_tokens=2
    )
    assert answer.model == job.x_model_output_name == "embedded:codes.v1"


def test_job_echoes_what_was_asked(job: Any, file_id: str) -> None:
    assert (job.training_file, job.suffix, job.random_seed) == (file_id, "codes", 7)
    assert (job.n_epochs, job.n_evals, job.n_checkpoints, job.batch_size) == (6, 3, 2, 1)
    assert (job.learning_rate, job.warmup_ratio) == (2e-3, 0.1)
    assert job.lr_scheduler.lr_scheduler_type == "linear"
    assert (job.training_type.type, job.training_type.lora_r) == ("Lora", 8)
    assert job.training_method.method == "sft"
    assert job.total_price == 0


def test_job_counts_rows_left_out(job: Any) -> None:
    assert job.to_dict()["x_rows"] == {"total": 4, "left_out": 1}
    assert job.trainingfile_numlines == 4


def test_job_evaluates_and_saves_as_asked(client: together.Together, job: Any) -> None:
    metrics = client.fine_tuning.list_metrics(job.id).metrics or []
    evaluated = {line["global_step"] for line in metrics if "eval/loss" in line}
    assert len(evaluated) == 3
    checkpoints = client.fine_tuning.list_checkpoints(job.id).data
    assert [each.step for each in checkpoints] == [job.total_steps, job.total_steps // 2]
    last = client.fine_tuning.list_metrics(job.id, global_step_from=job.total_steps).metrics
    assert {line["global_step"] for line in last or []} == {job.total_steps}


def test_every_checkpoint_answers(client: together.Together, job: Any) -> None:
    for checkpoint in client.fine_tuning.list_checkpoints(job.id).data:
        assert checkpoint.object_name
        answer = client.chat.completions.create(
            model=checkpoint.object_name, messages=HELLO, max_tokens=2
        )
        assert answer.model == checkpoint.object_name


def test_events_in_order(client: together.Together, job: Any) -> None:
    events = client.fine_tuning.list_events(job.id).data
    types = [event.type for event in events]
    assert (types[0], types[-1]) == ("job_pending", "job_complete")
    assert types.index("training_start") < types.index("checkpoint_save")
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)


def test_version_1_reads_types_in_capitals(client: together.Together, job: Any) -> None:
    """It knows fewer, and refuses any other."""
    old = {**AUTHORIZED, "User-Agent": "Together/v1 PythonBindings/1.6.0"}
    one = f"{str(client.base_url).rstrip('/')}/v1/fine-tunes/{job.id}"
    events = httpx.get(f"{one}/events", headers=old).json()["data"]
    types = [event["type"] for event in events]
    assert (types[0], types[-1]) == ("JOB_PENDING", "JOB_COMPLETE")
    assert "WARNING" not in types
    assert httpx.get(one, headers=old).json()["events"] == events


def test_jobs_listed(client: together.Together, job: Any) -> None:
    assert job.id in [each.id for each in client.fine_tuning.list().data]


def unpacked(client: together.Together, job: Any, **query: Any) -> dict[str, bytes]:
    data = client.fine_tuning.content(ft_id=job.id, **query).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(member, tar.extractfile(member)) for member in tar.getmembers()]
        return {member.name: file.read() for member, file in members if file}


def test_adapter_downloads(client: together.Together, job: Any) -> None:
    files = unpacked(client, job, checkpoint="adapter")
    assert json.loads(files["adapter_config.json"])["r"] == 8
    assert load_tensors(files["adapter_model.safetensors"])


def test_merged_model_downloads(client: together.Together, job: Any) -> None:
    files = unpacked(client, job, checkpoint="merged")
    assert json.loads(files["config.json"])["model_type"] == "mistral"
    assert any(name.endswith(".safetensors") for name in files)


def test_checkpoint_downloads(client: together.Together, job: Any) -> None:
    step = job.total_steps // 2
    final = unpacked(client, job, checkpoint="adapter")
    early = unpacked(client, job, checkpoint="adapter", checkpoint_step=step)
    assert early["adapter_model.safetensors"] != final["adapter_model.safetensors"]


def test_download_resumes(client: together.Together, job: Any) -> None:
    url = (
        f"{str(client.base_url).rstrip('/')}/v1/finetune/download?ft_id={job.id}&checkpoint=adapter"
    )
    whole = httpx.get(url, headers=AUTHORIZED).content
    rest = httpx.get(url, headers=AUTHORIZED | {"Range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, whole[100:])


@pytest.mark.parametrize("named", ["job", "model"])
def test_training_goes_on_from_a_job(
    server: openai.OpenAI, client: together.Together, job: Any, file_id: str, named: str
) -> None:
    start = {"job": f"{job.id}:{job.total_steps // 2}", "model": job.x_model_output_name}[named]
    made = client.fine_tuning.create(
        training_file=file_id, from_checkpoint=start, n_epochs=1, learning_rate=1e-6, suffix=named
    )
    done = wait(server, client, made.id)
    assert (done.status, done.from_checkpoint) == ("completed", start), done.to_dict()
    assert done.training_type.lora_r == 8


def test_dpo_trains_pairs(server: openai.OpenAI, client: together.Together, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    row = {
        "input": {"messages": [{"role": "user", "content": "What is your name?"}]},
        "preferred_output": [{"role": "assistant", "content": "I am the desk."}],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    }
    pairs.write_text(json.dumps(row) + "\n")
    made = client.fine_tuning.create(
        training_file=client.files.upload(pairs).id,
        model="embedded",
        training_method="dpo",
        dpo_beta=0.2,
    )
    done = wait(server, client, made.id)
    assert done.status == "completed", done.to_dict()
    assert (done.training_method.method, done.training_method.dpo_beta) == ("dpo", 0.2)


def test_cancel_then_delete(server: openai.OpenAI, client: together.Together, file_id: str) -> None:
    made = client.fine_tuning.create(training_file=file_id, model="embedded", n_epochs=900)
    assert client.fine_tuning.cancel(made.id).status == "cancelled"
    wait(server, client, made.id)
    assert made.id in (client.fine_tuning.delete(made.id).message or "")
    with pytest.raises(together.NotFoundError):
        client.fine_tuning.retrieve(made.id)


def test_price_is_zero(client: together.Together, file_id: str, rows: Path) -> None:
    estimate: Any = client.fine_tuning.estimate_price(
        training_file=file_id,
        validation_file="",  # which version 1 sends for none
        model="embedded",
    )
    assert estimate.estimation_available
    assert (estimate.estimated_total_price, estimate.allowed_to_proceed) == (0, True)
    assert estimate.estimated_train_token_count == rows.stat().st_size // 4


def test_limits_name_modules(client: together.Together) -> None:
    limits = client.fine_tuning.model_limits(model_name="embedded")
    assert "q_proj" in limits.lora_training.target_modules
    assert not limits.supports_full_training
    with pytest.raises(together.NotFoundError):
        client.fine_tuning.model_limits(model_name="gpt-4")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"training_file": "file-nothing"}, "training_file"),
        ({"model": "gpt-4"}, "model"),
        ({"from_checkpoint": "embedded:nothing"}, "model"),
        ({"model": None, "from_checkpoint": "embedded:nothing"}, "from_checkpoint"),
        ({"training_type": {"type": "Full"}}, "training_type.type"),
        ({"training_type": {"type": "Lora", "lora_r": 999}}, "training_type.lora_r"),
        ({"training_method": {"method": "sft", "train_on_inputs": True}},
         "training_method.train_on_inputs"),
        ({"training_method": {"method": "dpo", "simpo_gamma": 1.0}}, "training_method.simpo_gamma"),
        ({"lr_scheduler": {"lr_scheduler_type": "cosine", "lr_scheduler_args":
          {"min_lr_ratio": 0.5}}}, "lr_scheduler.lr_scheduler_args.min_lr_ratio"),
        ({"learning_rate": 7.0}, "learning_rate"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"suffix": "two words"}, "suffix"),
        ({"wandb_key": "secret"}, "wandb_key"),
        ({"from_hf_model": "a/b"}, "from_hf_model"),
        ({"early_stopping_enabled": True}, "early_stopping_enabled"),
        ({"speed": 1}, "speed"),
    ],
)  # fmt: skip
def test_refusal_names_the_field(
    client: together.Together, file_id: str, changes: dict[str, Any], param: str
) -> None:
    error = refused(client, **({"training_file": file_id, "model": "embedded"} | changes))
    assert error.status_code in (400, 404)
    assert param_of(error) == param
    assert "recipe." not in error.message


def test_other_rank_than_start_refused(client: together.Together, file_id: str, job: Any) -> None:
    lora = {"type": "Lora", "lora_r": 4}
    error = refused(
        client, training_file=file_id, from_checkpoint=job.id, training_type=lora, n_epochs=1
    )
    assert param_of(error) == "training_type.lora_r"
