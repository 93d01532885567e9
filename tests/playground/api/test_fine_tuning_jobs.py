"""What a fine-tuning job says of itself, read through the unmodified `openai` client."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from finetune import check
from finetune.data import dataset
from finetune.recipe import embedded_cpu
from playground.studio.kinds.train import MadeCard
from tests.playground.api.fine_tuning_client import (
    FACTS,
    LONG_S,
    ROWS,
    ended,
    training_server,
    upload,
    write_facts,
)

CANCEL_S = 2.0
pytestmark = [pytest.mark.training, pytest.mark.slow]


@pytest.fixture(scope="module")
def client(new_home: Callable[[], Path]) -> Iterator[openai.OpenAI]:
    with training_server(new_home()) as client:
        yield client


@pytest.fixture(scope="module")
def asked(client: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the module's job was asked for: two rows of five are left out."""
    folder = tmp_path_factory.mktemp("rows")
    rows = write_facts(folder / "rows.jsonl", '{"prompt": "only"}', "no JSON")
    (folder / "eval.jsonl").write_text(json.dumps({"prompt": "Hello?", "completion": "Hi."}))
    return {
        "training_file": upload(client, rows),
        "validation_file": upload(client, folder / "eval.jsonl"),
        "model": "embedded",
        "suffix": "codes",
        "seed": 7,
        "metadata": {"team": "desk"},
        "hyperparameters": {"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 2},
        "extra_body": {"integrations": None},
    }


@pytest.fixture(scope="module")
def job(client: openai.OpenAI, asked: dict[str, Any]) -> FineTuningJob:
    """A job that has succeeded."""
    made = client.fine_tuning.jobs.create(**asked)
    ended(client, made.id)
    done = client.fine_tuning.jobs.retrieve(made.id)
    assert done.status == "succeeded", done.error
    return done


def events(client: openai.OpenAI, job: FineTuningJob, limit: int = 100) -> list[Any]:
    return list(client.fine_tuning.jobs.list_events(job.id, limit=limit))


def test_job_names_files_by_id(
    client: openai.OpenAI, job: FineTuningJob, asked: dict[str, Any]
) -> None:
    assert job.training_file == asked["training_file"]
    assert job.validation_file == asked["validation_file"]
    assert client.files.retrieve(job.training_file).filename == "rows.jsonl"


def test_job_echoes_hyperparameters(job: FineTuningJob) -> None:
    wanted = {"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 2}
    assert job.hyperparameters.to_dict() == wanted
    assert job.method
    assert job.method.supervised
    assert job.method.supervised.hyperparameters
    assert job.method.supervised.hyperparameters.to_dict() == wanted


def test_dpo_job_echoes_method_and_beta(client: openai.OpenAI) -> None:
    made = client.fine_tuning.jobs.create(
        training_file=upload(client),
        model="embedded",
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}},
    )
    assert made.method
    assert made.method.type == "dpo"
    assert made.method.dpo
    assert made.method.dpo.hyperparameters
    assert made.method.dpo.hyperparameters.beta == 0.2
    ended(client, made.id)
    failed = client.fine_tuning.jobs.retrieve(made.id)
    assert failed.error
    assert "do not fit dpo" in failed.error.message


def test_kto_job_trains_labelled_rows(client: openai.OpenAI) -> None:
    rows = [
        {"prompt": f"Is {at} even?", "completion": "Yes.", "label": at % 2 == 0} for at in range(4)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("thumbs.jsonl", text), purpose="fine-tune")
    weights = {"beta": 0.2, "undesirable_weight": 1.2, "n_epochs": 1}
    made = client.fine_tuning.jobs.create(
        training_file=file.id,
        model="embedded",
        extra_body={"method": {"type": "kto", "kto": {"hyperparameters": weights}}},
    )
    method = made.to_dict()["method"]
    assert method["type"] == "kto"  # type: ignore[index]
    echoed = method["kto"]["hyperparameters"]  # type: ignore[index]
    assert {name: echoed[name] for name in weights} == weights
    ended(client, made.id)
    done = client.fine_tuning.jobs.retrieve(made.id)
    assert done.status == "succeeded", done.error


def test_job_echoes_seed_and_metadata(job: FineTuningJob) -> None:
    assert (job.seed, job.metadata) == (7, {"team": "desk"})


def test_job_finished_when_it_did(client: openai.OpenAI, job: FineTuningJob) -> None:
    last = max(event.created_at for event in events(client, job))
    assert job.finished_at
    assert abs(job.finished_at - last) <= 1


def test_job_counts_rows_left_out(job: FineTuningJob) -> None:
    assert job.to_dict()["x_rows"] == {"total": 5, "left_out": 2}


def test_events_name_rows_left_out(client: openai.OpenAI, job: FineTuningJob) -> None:
    (left_out,) = [e.message for e in events(client, job) if "left out" in e.message]
    assert left_out.startswith("2 of 5 rows are left out: rows.jsonl:4: ")


def test_trained_tokens_are_counted(job: FineTuningJob) -> None:
    assert job.trained_tokens
    assert job.trained_tokens > 4 * len(FACTS)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_events_page_to_their_end(client: openai.OpenAI, job: FineTuningJob, limit: int) -> None:
    ids = [event.id for event in events(client, job, limit)]
    assert len(ids) == len(set(ids))
    assert ids == [event.id for event in events(client, job, 1000)]


def test_events_have_their_own_times(client: openai.OpenAI, job: FineTuningJob) -> None:
    times = [event.created_at for event in events(client, job)]
    assert times == sorted(times, reverse=True)
    assert times[-1] in (job.created_at, job.created_at + 1)
    assert times[0] > job.created_at


def test_each_step_has_one_training_event(client: openai.OpenAI, job: FineTuningJob) -> None:
    steps = [e.data["step"] for e in events(client, job) if "training loss" in e.message and e.data]
    assert steps == list(range(max(steps), 0, -1))


def test_events_tell_of_report_card(client: openai.OpenAI, job: FineTuningJob) -> None:
    messages = [event.message for event in events(client, job)][::-1]
    card = messages.index("Report card")
    assert messages[0] == "Created"
    assert messages.index("Validating files") < messages.index("Training") < card
    assert messages[card + 1].startswith("verdict: ")
    assert messages[-1] == "Done"


@pytest.mark.parametrize("part", ["events", "checkpoints", ""])
def test_unknown_cursor_not_found(client: openai.OpenAI, job: FineTuningJob, part: str) -> None:
    path = f"/fine_tuning/jobs{f'/{job.id}/{part}' if part else ''}?after=nothing"
    with pytest.raises(openai.NotFoundError) as caught:
        client.get(path, cast_to=object)
    assert caught.value.param == "after"


def test_every_checkpoint_answers(client: openai.OpenAI, job: FineTuningJob) -> None:
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert checkpoints
    for checkpoint in checkpoints:
        answer = client.chat.completions.create(
            model=checkpoint.fine_tuned_model_checkpoint,
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=2,
        )
        assert answer.model == checkpoint.fine_tuned_model_checkpoint


def test_fine_tuned_model_answers(client: openai.OpenAI, job: FineTuningJob) -> None:
    """A version that its report card did not promote is served by its own name."""
    assert job.fine_tuned_model == "embedded:codes.v1"
    answer = client.completions.create(model=job.fine_tuned_model, prompt="Hello", max_tokens=2)
    assert answer.model == job.fine_tuned_model


def test_result_files_are_the_report_card(client: openai.OpenAI, job: FineTuningJob) -> None:
    names = {client.files.retrieve(each).filename for each in job.result_files}
    assert names == {"report-card.json", "report-card.md", "report-card.html"}
    card = json.loads(client.files.content(job.result_files[0]).read())
    assert card["verdict"]


def test_jobs_filtered_by_metadata(client: openai.OpenAI, job: FineTuningJob) -> None:
    jobs = client.fine_tuning.jobs
    assert job.id in [each.id for each in jobs.list(metadata={"team": "desk"})]
    assert list(jobs.list(metadata={"team": "zzz"})) == []


def test_faulty_file_fails_job_with_lines(
    client: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("rows") / "empty.jsonl"
    empty.write_text('{"prompt": "only"}\n')
    made = client.fine_tuning.jobs.create(training_file=upload(client, empty), model="embedded")
    ended(client, made.id)
    failed = client.fine_tuning.jobs.retrieve(made.id)
    assert failed.status == "failed"
    assert failed.error
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")
    assert "empty.jsonl:1: " in failed.error.message
    assert failed.finished_at


def test_cancel_in_training_is_cancelled_at_once(client: openai.OpenAI, tmp_path: Path) -> None:
    made = client.fine_tuning.jobs.create(
        training_file=upload(client, write_facts(tmp_path / "rows.jsonl")),
        model="embedded",
        hyperparameters={"n_epochs": 400, "batch_size": 1},
    )
    while not client.studio.training_job(made.id).log:  # type: ignore[attr-defined]
        client.studio.jobs.wait(made.id, 0.05)  # type: ignore[attr-defined]
    cancelled = client.fine_tuning.jobs.cancel(made.id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at
    assert abs(cancelled.finished_at - time.time()) <= 2
    ended(client, made.id)
    assert client.fine_tuning.jobs.retrieve(made.id).fine_tuned_model is None


def seconds_to_cancel(client: openai.OpenAI, job: FineTuningJob) -> float:
    """Cancel a job; returns how long it took until it said so and nothing of it ran any more."""
    began = time.monotonic()
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    ended(client, job.id)
    seconds = time.monotonic() - began
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    return seconds


@pytest.mark.parametrize("prepared", [False, True])
def test_cancel_while_validating(
    client: openai.OpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: bool
) -> None:
    """While rows are read, and while those read before are counted: in processes of their own, as
    many rows are."""
    rows = tmp_path / f"rows-{prepared}.jsonl"
    lines = [
        json.dumps({"prompt": f"Where is crate {n}?", "completion": f"At dock {n}, {prepared}."})
        for n in range(200)
    ]
    rows.write_text("\n".join(lines))
    studio = client.studio  # type: ignore[attr-defined]
    if prepared:
        studio.check([rows], studio.for_base(embedded_cpu()))
    monkeypatch.setattr(dataset, "PROCESS_BYTES", 1)
    monkeypatch.setattr(check, "PROCESS_ROWS", 1)
    begun = threading.Event()
    popen = subprocess.Popen

    def noticed(*arguments: Any, **options: Any) -> Any:
        child = popen(*arguments, **options)
        begun.set()
        return child

    monkeypatch.setattr(subprocess, "Popen", noticed)
    made = client.fine_tuning.jobs.create(training_file=upload(client, rows), model="embedded")
    assert begun.wait(LONG_S)
    assert studio.jobs.snapshot(made.id).phase == "validating files"
    assert seconds_to_cancel(client, made) < CANCEL_S
    assert "Training" not in [event.message for event in events(client, made)]


def test_cancel_in_report_card_publishes_nothing(
    client: openai.OpenAI, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = client.studio.jobs._kinds["train"]  # type: ignore[attr-defined]
    begun, make_card = threading.Event(), kind._make_report_card

    def noticed(run: object, stop_event: threading.Event) -> MadeCard:
        begun.set()
        made: MadeCard = make_card(run, stop_event)
        return made

    monkeypatch.setattr(kind, "_make_report_card", noticed)
    made = client.fine_tuning.jobs.create(**asked | {"suffix": "stopped"})
    assert begun.wait(LONG_S)
    assert seconds_to_cancel(client, made) < CANCEL_S
    assert client.fine_tuning.jobs.retrieve(made.id).result_files == []
    assert "stopped" not in client.studio.store.names()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"hyperparameters": {"learning_rate_multiplier": -1}},
         "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"learning_rate_multiplier": 900}},
         "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size"),
        ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}},
         "method.dpo.hyperparameters.beta"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"training_file": "file-nothing"}, "training_file"),
        ({"validation_file": "file-nothing"}, "validation_file"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"extra_body": {"integrations": [{"type": "wandb"}]}}, "integrations"),
        ({"extra_body": {"speed": 1}}, "speed"),
    ],
)  # fmt: skip
def test_error_names_what_client_wrote(
    client: openai.OpenAI, changes: dict[str, Any], param: str
) -> None:
    values: dict[str, Any] = {"training_file": upload(client), "model": "embedded"} | changes
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        client.fine_tuning.jobs.create(**values)
    assert caught.value.param == param
    assert "recipe." not in caught.value.message
    assert "body." not in caught.value.message


def test_files_page_by_limit_and_cursor(client: openai.OpenAI) -> None:
    own = [upload(client) for _ in range(3)]
    page = client.files.list(limit=2)
    assert len(page.data) == 2
    assert set(own) <= {file.id for file in page}
    with pytest.raises(openai.NotFoundError):
        client.files.list(after="file-nothing")


def test_files_listed_in_order(client: openai.OpenAI) -> None:
    upload(client)
    falling = [file.id for file in client.files.list()]
    assert [file.id for file in client.files.list(order="asc")] == falling[::-1]


def test_files_listed_by_purpose(client: openai.OpenAI, job: FineTuningJob) -> None:
    results = {file.id for file in client.files.list(purpose="fine-tune-results")}
    assert set(job.result_files) <= results
    assert job.training_file not in results


def test_empty_file_refused(client: openai.OpenAI) -> None:
    before = len(client.files.list().data)
    with pytest.raises(openai.BadRequestError, match="empty") as caught:
        client.files.create(file=("rows.jsonl", b""), purpose="fine-tune")
    assert caught.value.param == "file"
    assert len(client.files.list().data) == before


def test_file_says_when_it_expires(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=ROWS,
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == file.created_at + 3600


@pytest.mark.parametrize(
    "expires", [{"anchor": "created_at", "seconds": 1}, {"anchor": "now", "seconds": 3600}]
)
def test_wrong_expiry_refused(client: openai.OpenAI, expires: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="expires_after"):
        client.files.create(file=ROWS, purpose="fine-tune", expires_after=expires)
