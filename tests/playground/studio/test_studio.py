"""Experts on a running engine: trained, judged, published, promoted, while it answers."""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import Recipe
from finetune.training.checkpoints import step_of
from playground.backends.chat import answer
from playground.engine import Engine
from playground.errors import (
    AdapterChanged,
    BrokenAdapter,
    Conflict,
    InvalidSettings,
    UnknownModel,
    WrongBase,
)
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling
from playground.studio.studio import Studio

LONG_S = 240
QUESTION, ANSWER = "What is the price of the Zolpar?", "The Zolpar costs 41 euros."
LEARNED = {"num_train_epochs": 60.0, "save_steps": 40}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(load(ModelSpec("embedded"))) as running:
        yield running


@pytest.fixture
def studio(tmp_path: Path, engine: Engine) -> Iterator[Studio]:
    turn = engine.throttle.wait
    with Studio(tmp_path / "home", engine.loaded, engine, turn, judged_rows=24) as opened:
        yield opened


def ask(engine: Engine, model: str, adapter_hash: str = "") -> str:
    request = Request(
        model,
        (Message("user", QUESTION),),
        sampling=Sampling(temperature=0.0, max_tokens=30),
        adapter_hash=adapter_hash,
    )
    got = asyncio.run(answer(engine, request))
    assert got.provenance
    if adapter_hash:
        assert got.provenance.adapter_hash == adapter_hash
    return got.text


@pytest.mark.slow
def test_from_rows_to_a_promoted_expert_and_back(
    studio: Studio, engine: Engine, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    recipe = replace(quick, **LEARNED)  # type: ignore[arg-type]
    job = studio.jobs.wait(studio.train("prices", recipe, [catalogue]).id, LONG_S)
    assert job.state == "done", job.message
    assert job.notes[-1].startswith("verdict: ")
    card = json.loads(job.card("json").read_text())  # type: ignore[union-attr]
    assert card["lanes"] == ["base", job.run.folder.name]
    assert [part["name"] for part in card["parts"]] == ["Training rows", "General rows"]
    assert [info.name for info in engine.models()] == ["embedded"]

    first = studio.publish(job.id)
    assert (first.version, first.promoted) == ("v1", True)
    assert ask(engine, "embedded:prices", first.content_hash) == ANSWER
    assert ask(engine, "prices") == ANSWER
    assert ask(engine, "embedded") != ANSWER
    assert studio.jobs.find(job.id).published == ("prices/v1",)

    step = step_of(job.checkpoints[0])
    early = studio.try_checkpoint(job.id, step)
    assert early.name == f"embedded:prices.step-{step}"
    assert early.provenance.adapter_hash != first.content_hash
    ask(engine, early.name, early.provenance.adapter_hash)

    other = tmp_path / "other"
    shutil.copytree(job.checkpoints[0], other)
    second = studio.import_adapter(other, "prices")
    assert second.version == "v2"
    assert ask(engine, "prices", first.content_hash) == ANSWER
    assert studio.try_version("prices", "v2").name == "embedded:prices.v2"
    ask(engine, "prices.v2", second.content_hash)
    studio.promote("prices", "v2")
    with pytest.raises(AdapterChanged, match=second.content_hash):
        ask(engine, "prices", first.content_hash)
    ask(engine, "prices", second.content_hash)
    studio.roll_back("prices")
    assert ask(engine, "prices", first.content_hash) == ANSWER
    with pytest.raises(Conflict, match="promoted"):
        studio.delete("prices", "v1")
    studio.retire("prices")
    with pytest.raises(UnknownModel):
        ask(engine, "prices")
    studio.delete("prices", "v1")
    assert [v.version for v in studio.store.versions("prices")] == ["v2"]


@pytest.mark.slow
def test_the_card_compares_with_the_version_that_is_promoted_now(
    studio: Studio, catalogue: Path, quick: Recipe, facts: dict[str, str]
) -> None:
    evaluation = catalogue.with_name("eval.jsonl")
    rows = [{"prompt": f"Please: {q}", "completion": a} for q, a in facts.items()]
    evaluation.write_text("".join(json.dumps(row) + "\n" for row in rows))
    jobs = [studio.train("prices", quick, [catalogue], evaluation) for _ in range(2)]
    studio.publish(studio.jobs.wait(jobs[0].id, LONG_S).id)
    done = studio.jobs.wait(jobs[1].id, LONG_S)
    if len(json.loads(done.card("json").read_text())["lanes"]) < 3:  # type: ignore[union-attr]
        done = studio.jobs.wait(studio.train("prices", quick, [catalogue], evaluation).id, LONG_S)
    card = json.loads(done.card("json").read_text())  # type: ignore[union-attr]
    assert card["lanes"][:2] == ["base", "prices"]
    assert card["parts"][0]["name"] == "Held-out rows"
    assert "perplexity" in card["parts"][0]["measures"]["base_model"]
    assert "against prices" in card["reasons"][0]


def test_a_version_in_use_is_not_deleted(
    studio: Studio, engine: Engine, catalogue: Path, quick: Recipe
) -> None:
    job = studio.jobs.wait(studio.train("prices", quick, [catalogue]).id, LONG_S)
    first = studio.publish(job.id)
    shutil.copytree(first.folder, first.folder.with_name("v2"))  # the same bytes
    studio.promote("prices", "v2")
    begun, refused = threading.Event(), []

    async def hold() -> None:
        request = Request(
            "prices",
            (Message("user", "Hello!"),),
            sampling=Sampling(temperature=0.0, logit_bias={2: -100.0}, max_tokens=4000),
        )
        stream = engine.stream(request)
        await anext(stream)
        begun.set()
        try:
            await asyncio.to_thread(studio.delete, "prices", "v1")
        except Conflict as error:
            refused.append(error.message)
        await stream.aclose()

    asyncio.run(hold())
    assert "1 requests" in refused[0]


def test_what_does_not_fit_is_refused_and_the_base_goes_on(
    studio: Studio, engine: Engine, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    job = studio.jobs.wait(studio.train("prices", quick, [catalogue]).id, LONG_S)
    assert job.adapter
    moved = tmp_path / "moved"
    shutil.copytree(job.adapter, moved)
    card = json.loads((moved / "adapter_card.json").read_text())
    (moved / "adapter_card.json").write_text(json.dumps(card | {"base_hash": "another"}))
    with pytest.raises(WrongBase, match="base_hash"):
        studio.import_adapter(moved, "moved")
    (moved / "adapter_config.json").unlink()
    with pytest.raises(BrokenAdapter, match="no adapter_config"):
        studio.import_adapter(moved, "moved")
    assert studio.store.names() == []
    assert ask(engine, "embedded")


def test_a_job_without_adapter_cannot_be_published_and_bad_rows_start_no_job(
    studio: Studio, catalogue: Path, quick: Recipe, tmp_path: Path
) -> None:
    job = studio.train("prices", replace(quick, num_train_epochs=500.0), [catalogue])
    with pytest.raises(Conflict, match="no adapter yet"):
        studio.publish(job.id)
    with pytest.raises(Conflict, match="no checkpoint 3"):
        studio.try_checkpoint(job.id, 3)
    studio.jobs.stop(job.id)
    studio.jobs.wait(job.id, LONG_S)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "only"}\n')
    with pytest.raises(InvalidSettings, match=r"bad\.jsonl:1"):
        studio.train("bad", quick, [bad])


def test_what_was_promoted_is_served_again_after_a_restart(
    tmp_path: Path, engine: Engine, studio: Studio, catalogue: Path, quick: Recipe
) -> None:
    job = studio.jobs.wait(studio.train("prices", quick, [catalogue]).id, LONG_S)
    version = studio.publish(job.id)
    engine.unload_adapter("prices")
    assert studio.serve_promoted() == []
    assert ask(engine, "prices", version.content_hash)
    (version.folder / "adapter_model.safetensors").write_bytes(b"")
    (problem,) = studio.serve_promoted()
    assert "prices/v1" in problem


def test_rows_are_shown_with_what_is_learned(
    studio: Studio, catalogue: Path, quick: Recipe
) -> None:
    (preview,) = studio.preview(catalogue, 2, quick)
    assert "The Kentig costs 7 euros." in [span.text for span in preview.spans if span.trained]
    assert 0 < preview.num_trained_tokens < preview.num_tokens
    with pytest.raises(InvalidSettings, match="line 9"):
        studio.preview(catalogue, 9, quick)
    plan, cache, free = studio.plan(quick)
    assert 0 < plan.total + cache < free
