"""Adapters on a running engine: trained, evaluated, published, promoted, while it answers."""

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.dataset import prepare
from finetune.recipe import Recipe, embedded_cpu
from finetune.training.checkpoints import step_of
from playground.backends.local import LocalBackend
from playground.errors import (
    AdapterChanged,
    BrokenAdapter,
    Conflict,
    InvalidSettings,
    UnknownModel,
    WrongBase,
)
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling, answer
from playground.studio.evaluation_rows import REGRESSION_FILE
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.studio import Studio
from playground.studio.trials import Trials
from tests.counting_tokenizer import CountingTokenizer
from tests.playground.adapter_files import random_adapter
from tests.processes import in_a_process

LONG_S = 240
QUESTION, ANSWER = "What is the price of the Zolpar?", "The Zolpar costs 41 euros."
LEARNED = {"num_train_epochs": 30.0, "micro_batch_size": 4, "save_steps": 10}


@pytest.fixture
def host() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


@pytest.fixture
def studio(tmp_path: Path, host: LocalBackend) -> Iterator[Studio]:
    throttle = host.throttle.wait
    with Studio(tmp_path / "home", host.loaded, host, throttle, judged_rows=2) as opened:
        yield opened


def ended(studio: Studio, job_id: str) -> TrainingSnapshot:
    studio.jobs.wait(job_id, LONG_S)
    return studio.training_job(job_id)


def models(host: LocalBackend) -> list[ModelInfo]:
    return list(asyncio.run(host.models()))


def ask(host: LocalBackend, model: str, adapter_hash: str = "") -> str:
    request = Request(
        model,
        (Message("user", QUESTION),),
        sampling=Sampling(temperature=0.0, max_tokens=30),
        adapter_hash=adapter_hash,
    )
    got = asyncio.run(answer(host, request))
    assert got.provenance
    if adapter_hash:
        assert got.provenance.adapter_hash == adapter_hash
    return got.text


@pytest.mark.training
@pytest.mark.slow
def test_studio_from_rows_to_promoted_adapter(
    studio: Studio, host: LocalBackend, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    recipe = replace(quick, **LEARNED)  # type: ignore[arg-type]
    job = ended(studio, studio.train("prices", recipe, [catalogue]).id)
    assert job.state == "done", job.message
    assert any(note.startswith("verdict: ") for note in job.notes)
    card = json.loads(job.report_card["json"].read_text())
    assert card["lanes"] == ["base", "prices"]
    assert [part["name"] for part in card["parts"]] == ["Training rows", "General rows"]
    assert [info.name for info in models(host)] == ["embedded"]

    first = studio.publish(job.id)
    assert (first.version, first.promoted) == ("v1", True)
    assert ask(host, "embedded:prices", first.content_hash) == ANSWER
    assert ask(host, "prices") == ANSWER
    assert ask(host, "embedded") != ANSWER
    assert studio.training_job(job.id).published == ("prices/v1",)

    step = step_of(job.checkpoints[0])
    early = studio.try_checkpoint(job.id, step)
    assert early.name == f"embedded:prices.step-{step}"
    assert early.provenance.adapter_hash != first.content_hash
    ask(host, early.name, early.provenance.adapter_hash)

    other = tmp_path / "other"
    shutil.copytree(job.checkpoints[0], other)
    second = studio.import_adapter(other, "prices")
    assert second.version == "v2"
    assert ask(host, "prices", first.content_hash) == ANSWER
    assert studio.try_version("prices", "v2").name == "embedded:prices.v2"
    ask(host, "prices.v2", second.content_hash)
    studio.promote("prices", "v2")
    with pytest.raises(AdapterChanged, match=second.content_hash):
        ask(host, "prices", first.content_hash)
    ask(host, "prices", second.content_hash)
    studio.roll_back("prices")
    assert ask(host, "prices", first.content_hash) == ANSWER
    with pytest.raises(Conflict, match="promoted"):
        studio.delete("prices", "v1")
    studio.retire("prices")
    with pytest.raises(UnknownModel):
        ask(host, "prices")
    studio.delete("prices", "v1")
    assert [v.version for v in studio.store.versions("prices")] == ["v2"]


@pytest.mark.training
@pytest.mark.slow
def test_report_card_compares_with_promoted(
    studio: Studio, catalogue: Path, quick: Recipe, facts: dict[str, str]
) -> None:
    evaluation = catalogue.with_name("eval.jsonl")
    rows = [{"prompt": f"Please: {q}", "completion": a} for q, a in facts.items()]
    evaluation.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = replace(quick, max_steps=1)
    studio.publish(ended(studio, studio.train("prices", recipe, [catalogue], evaluation).id).id)
    done = ended(studio, studio.train("prices", recipe, [catalogue], evaluation).id)
    card = json.loads(done.report_card["json"].read_text())
    assert len(card["lanes"]) == 3
    assert card["lanes"][:2] == ["base", "prices v1"]
    assert card["parts"][0]["name"] == "Held-out rows"
    assert "perplexity" in card["parts"][0]["measures"]["base"]
    assert "against prices" in card["reasons"][0]


def test_delete_version_in_use_refused(
    studio: Studio, host: LocalBackend, trained_adapter: Path
) -> None:
    first = studio.promote("prices", studio.store.publish(trained_adapter, "prices").version)
    shutil.copytree(first.folder, first.folder.with_name("v2"))  # the same bytes
    studio.promote("prices", "v2")
    begun, refused = threading.Event(), []

    async def hold() -> None:
        request = Request(
            "prices",
            (Message("user", "Hello!"),),
            sampling=Sampling(temperature=0.0, logit_bias={2: -100.0}, max_tokens=4000),
        )
        stream = host.stream(request)
        await anext(stream)
        begun.set()
        try:
            await asyncio.to_thread(studio.delete, "prices", "v1")
        except Conflict as error:
            refused.append(error.message)
        await stream.aclose()

    asyncio.run(hold())
    assert "1 requests" in refused[0]


def test_import_unfit_adapter_refused(
    studio: Studio, host: LocalBackend, trained_adapter: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained_adapter, moved)
    card = json.loads((moved / "adapter_card.json").read_text())
    (moved / "adapter_card.json").write_text(json.dumps(card | {"base_hash": "another"}))
    with pytest.raises(WrongBase, match="base_hash"):
        studio.import_adapter(moved, "moved")
    (moved / "adapter_config.json").unlink()
    with pytest.raises(BrokenAdapter, match="no adapter_config"):
        studio.import_adapter(moved, "moved")
    assert studio.store.names() == []
    assert ask(host, "embedded")


@pytest.mark.training
def test_publish_without_adapter_refused(studio: Studio, catalogue: Path, quick: Recipe) -> None:
    job = studio.train("prices", replace(quick, num_train_epochs=500.0), [catalogue])
    with pytest.raises(Conflict, match="no adapter yet"):
        studio.publish(job.id)
    with pytest.raises(Conflict, match="no checkpoint 3"):
        studio.try_checkpoint(job.id, 3)
    studio.jobs.stop(job.id)
    studio.jobs.wait(job.id, LONG_S)


def test_job_without_usable_row_fails(studio: Studio, quick: Recipe, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "only"}\n')
    job = ended(studio, studio.train("bad", quick, [bad]).id)
    assert job.state == "failed"
    assert "no token of these rows would be trained: bad.jsonl:1" in job.message


@pytest.mark.slow
def test_job_without_usable_evaluation_row_fails(
    studio: Studio, quick: Recipe, catalogue: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "only"}\n')
    job = ended(studio, studio.train("bad", quick, [catalogue], bad).id)
    assert job.state == "failed"
    assert "no row of the evaluation file bad.jsonl can be used: bad.jsonl:1" in job.message


@pytest.mark.training
def test_rows_left_out_are_counted(studio: Studio, quick: Recipe, catalogue: Path) -> None:
    with catalogue.open("a") as file:
        file.write('{"prompt": "only"}\n' * 2)
    job = ended(studio, studio.train("prices", replace(quick, max_steps=1), [catalogue]).id)
    assert (job.result["rows"], job.result["rows_left_out"]) == (6, 2)
    assert job.notes[0].startswith("2 of 6 rows are left out: catalogue.jsonl:5")


@pytest.mark.training
def test_stop_ends_report_card_soon(studio: Studio, quick: Recipe, catalogue: Path) -> None:
    job = studio.train("prices", replace(quick, max_steps=1), [catalogue], publishes=True)
    while studio.training_job(job.id).phase != "report card":
        studio.jobs.wait(job.id, 0.02)
    began = time.monotonic()
    studio.jobs.stop(job.id)
    assert studio.training_job(job.id).state == "stopped"
    assert ended(studio, job.id).published == ()
    assert time.monotonic() - began < 2
    assert studio.store.names() == []


def test_promoted_served_after_restart(
    host: LocalBackend, studio: Studio, trained_adapter: Path
) -> None:
    version = studio.promote("prices", studio.store.publish(trained_adapter, "prices").version)
    host.unload_adapter("prices")
    assert studio.serve_promoted() == []
    assert ask(host, "prices", version.content_hash)
    (version.folder / "adapter_model.safetensors").write_bytes(b"")
    (problem,) = studio.serve_promoted()
    assert "prices/v1" in problem


@pytest.mark.training
def test_row_is_tokenized_once_up_to_report_card(
    host: LocalBackend, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    """Checked twice, planned, trained and evaluated twice; the card's general rows as well."""
    tokenizer = CountingTokenizer(EMBEDDED_FOLDER)
    loaded = replace(host.loaded, tokenizer=tokenizer)
    recipe = replace(quick, max_steps=1)
    once = CountingTokenizer(EMBEDDED_FOLDER)
    for file in (catalogue, EMBEDDED_FOLDER / REGRESSION_FILE):
        prepare([file], once, tmp_path / "once")
    with Studio(tmp_path / "home", loaded, host, judged_rows=2) as studio:
        for max_length in (64, 512):
            studio.check([catalogue], replace(recipe, max_length=max_length))
        studio.plan(recipe)
        for _ in range(2):
            job = ended(studio, studio.train("prices", recipe, [catalogue]).id)
            assert any(note.startswith("verdict: ") for note in job.notes)
    assert tokenizer.num_renders == once.num_renders


def test_preview_marks_trained_tokens(studio: Studio, catalogue: Path, quick: Recipe) -> None:
    (preview,) = studio.preview(catalogue, 2, quick)
    trained = [span.text for span in preview.spans if span.is_trained]
    assert "The Kentig costs 7 euros." in trained
    assert 0 < preview.num_trained_tokens < preview.num_tokens
    with pytest.raises(InvalidSettings, match="line 9"):
        studio.preview(catalogue, 9, quick)
    plan, cache, free = studio.plan(quick)
    assert 0 < plan.total + cache < free


@pytest.mark.slow
def test_trials_unload_the_one_before(host: LocalBackend, tmp_path: Path) -> None:
    one, two = (random_adapter(tmp_path / name, seed) for name, seed in (("one", 1), ("two", 2)))
    trials = Trials(host)

    def served() -> set[str]:
        return {info.adapter for info in models(host)} - {""}

    assert trials.load(one, "a.step-1", "job-a", "ann").name == "embedded:a.step-1"
    trials.load(one, "a.step-1", "job-a", "bob")
    trials.load(two, "a.step-2", "job-a", "ann")
    assert served() == {"a.step-1", "a.step-2"}  # bob still tries the first
    trials.load(two, "b.step-2", "job-b", "bob")
    assert served() == {"a.step-2", "b.step-2"}
    trials.unload("job-a")
    assert served() == {"b.step-2"}
    for number in range(6):
        trials.load(one, f"c.step-{number}", "job-c", f"user {number}")
    assert served() == {f"c.step-{number}" for number in (2, 3, 4, 5)}
    host.unload_adapter("c.step-5")
    trials.close()
    assert served() == set()


def serve_second(home: Path, rows: Path) -> None:
    """What a second server in the same home does."""
    with (
        LocalBackend(load(ModelSpec("embedded"))) as host,
        Studio(home, host.loaded, host) as studio,
    ):
        refused = ""
        try:
            studio.train("more", embedded_cpu(), [rows])
        except Conflict as error:
            refused = error.message
        seen = {
            "unavailable": studio.training_unavailable,
            "refused": refused,
            "problems": studio.serve_promoted(),
            "models": [info.name for info in models(host)],
            "jobs": [(job.id, job.state) for job in studio.training_jobs()],
            "adapters": studio.store.names(),
        }
        print(json.dumps(seen))


@pytest.mark.slow
@pytest.mark.training
def test_second_server_serves_without_training(
    studio: Studio, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    """A real second process in the same home."""
    version = studio.store.publish(random_adapter(tmp_path / "made", 1), "prices")
    studio.promote(version.name, version.version)
    job = studio.train("later", replace(quick, num_train_epochs=500.0), [catalogue])
    studio.jobs.stop(job.id)
    state = ended(studio, job.id).state
    second = in_a_process(serve_second, tmp_path / "home", catalogue)
    assert second.wait(LONG_S) == 0, second.output()
    seen = json.loads(second.output().splitlines()[-1])
    reason = f"another server (process {os.getpid()}) trains in {tmp_path / 'home'}"
    assert seen == {
        "unavailable": reason,
        "refused": f"this server does not train: {reason}",
        "problems": [],
        "models": ["embedded", "embedded:prices"],
        "jobs": [[job.id, state]],
        "adapters": ["prices"],
    }
    assert f"serving without training: {reason}" in second.output()
    assert studio.training_unavailable is None
