"""The Fine-tune tab's handlers: rows, recipes, jobs and adapters, without a browser."""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import pytest_asyncio

from finetune.recipe import PRESETS, Recipe
from finetune.report import DataReport
from playground.backends.local import LocalBackend
from playground.errors import BrokenAdapter, Conflict, InvalidSettings, UnknownJob
from playground.jobs import Jobs
from playground.jobs.job import read_job, write_job
from playground.protocol import Message
from playground.store import Feedback, NewAnswer
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.studio import Studio
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.finetune.adapter_events import AdapterHandlers
from playground.ui.finetune.job_events import JobHandlers, JobUpdate
from playground.ui.finetune.layout import FROM_GOOD, FROM_THUMBS, FROM_VOTES, UPLOADED
from playground.ui.finetune.recipe_controls import (
    DEFAULT_PRESET,
    LABELS,
    preset_for,
    preset_values,
    recipe_controls,
    to_recipe,
)
from playground.ui.finetune.train_events import ColumnsUpdate, TrainHandlers
from tests.playground.ui.helpers import changed, drain, drain_failing, events_of, page_request

FIELDS = preset_values("embedded_cpu")
NO_COLUMNS = (None, None)


@pytest.fixture
def train(studio: Studio, feedback: Feedback) -> TrainHandlers:
    return TrainHandlers(studio, feedback)


@pytest.fixture
def jobs(studio: Studio, answering: Answering) -> JobHandlers:
    return JobHandlers(studio, answering)


@pytest_asyncio.fixture
async def adapters(studio: Studio, backend: LocalBackend) -> AsyncIterator[AdapterHandlers]:
    yield AdapterHandlers(studio)
    for info in await backend.models():
        if info.adapter:
            backend.unload_adapter(info.adapter)


@pytest.fixture
def prices(studio: Studio, catalogue: Path, quick: Recipe) -> TrainingSnapshot:
    """A job that waits."""
    return studio.train("prices", quick, [catalogue])


def note_in_record(job: TrainingSnapshot, **changes: object) -> None:
    """Change the job's record, as the queue does."""
    record = read_job(job.folder)
    assert record is not None
    write_job(replace(record, **changes))  # type: ignore[arg-type]


# Rows and recipes


def test_the_preset_comes_from_the_catalogue() -> None:
    assert preset_for("embedded") == "embedded_cpu"
    assert preset_for("mistralai/Mistral-Small-24B-Instruct-2501") == "mistral_small_24b_qlora"
    assert preset_for("another/model") == DEFAULT_PRESET


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_makes_the_round_trip_through_its_controls(preset: str) -> None:
    with gr.Blocks():
        controls = recipe_controls(preset)
    shown = {name: control.value for name, control in controls.items()}
    assert shown == preset_values(preset)
    made = asdict(to_recipe(shown))
    wanted = asdict(PRESETS[preset]())
    assert {name: made[name] for name in shown} == {name: wanted[name] for name in shown}


@pytest.mark.slow
async def test_controls_show_the_names_of_their_fields() -> None:
    with gr.Blocks():
        controls = recipe_controls("embedded_cpu")
    assert set(LABELS) <= set(controls)
    for name, control in controls.items():
        assert control.info.startswith(f"`{name}` · ")
        assert "_" not in control.label


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"lora_r": None}, "recipe.lora_r: is empty"), ({"lora_r": 0}, "recipe.lora_r: 0")],
)
def test_a_wrong_field_is_named(changes: dict[str, float | None], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        to_recipe(FIELDS | changes)


@pytest.mark.slow
def test_the_sample_dataset_is_ready_to_train(train: TrainHandlers) -> None:
    update = train.use_sample()
    assert (update.source, update.name) == (UPLOADED, "catalogue")
    assert isinstance(update.files, list)
    report = train.report(
        UPLOADED, update.files, str(update.evaluation), *NO_COLUMNS, **FIELDS
    ).report
    assert "250" in report
    assert "Every row can be trained on." in report
    assert "Fits" in train.plan(**FIELDS).plan


def test_rows_are_counted_during_a_check(
    train: TrainHandlers, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, seen = [str(catalogue)], list[object]()
    check: Callable[..., DataReport] = train.studio.check

    def checked(*given: Any) -> DataReport:
        def told(rows: int) -> None:
            given[-1](rows)
            seen.append(train.count("", files).counted)

        return check(*given[:-1], told)

    monkeypatch.setattr(train.studio, "check", checked)
    train.report(UPLOADED, files, None, *NO_COLUMNS, **FIELDS)
    rows = len(catalogue.read_text().splitlines())
    assert f"{rows} rows read" in str(seen[-1])
    assert train.count(str(seen[-1]), files).counted == ""


def test_without_rows_the_tab_says_what_to_do(train: TrainHandlers) -> None:
    assert "sample dataset" in train.report(UPLOADED, None, None, *NO_COLUMNS, **FIELDS).report
    assert train.preview(1, UPLOADED, None, *NO_COLUMNS, **FIELDS).preview == ""
    with pytest.raises(InvalidSettings, match="sample dataset"):
        train.start(UPLOADED, None, None, "shop", *NO_COLUMNS, **FIELDS)


def test_rows_that_cannot_be_trained_are_named_with_their_lines(
    train: TrainHandlers, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "only"}\n{"mes\n')
    update = train.report(UPLOADED, [str(path)], None, *NO_COLUMNS, **FIELDS)
    assert "rows.jsonl:2" in update.report
    assert "rows.jsonl:3" in update.report
    assert update.start.value == "Start training despite 2 errors"
    assert update.start.elem_classes == ["asks-first"]
    with pytest.raises(InvalidSettings, match="adapter name"):
        train.start(UPLOADED, [str(path)], None, "../up", *NO_COLUMNS, **FIELDS)


def test_columns_of_other_names_are_guessed_and_mapped(
    train: TrainHandlers, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Frage;Antwort\nWho signs?;The yard master.\n")
    files = [str(path)]
    update = train.choose_columns(UPLOADED, files)
    columns = (changed(update.question).value, changed(update.answer).value)
    assert columns == ("Frage", "Antwort")
    assert train.choose_columns(UPLOADED, files, str(path)) == ColumnsUpdate()  # told of twice
    assert (
        "Every row can be trained on."
        in train.report(UPLOADED, files, None, *columns, **FIELDS).report
    )
    assert "The yard master." in train.preview(1, UPLOADED, files, *columns, **FIELDS).preview


def test_columns_of_known_names_are_left_alone(train: TrainHandlers, catalogue: Path) -> None:
    update = train.choose_columns(UPLOADED, [str(catalogue)])
    assert (changed(update.question).value, changed(update.answer).value) == (None, None)


def test_a_wrong_recipe_is_said_instead_of_the_report(
    train: TrainHandlers, catalogue: Path
) -> None:
    wrong = FIELDS | {"max_length": None}
    assert (
        "recipe.max_length"
        in train.report(UPLOADED, [str(catalogue)], None, *NO_COLUMNS, **wrong).report
    )
    assert "recipe.max_length" in train.plan(**wrong).plan
    assert (
        "recipe.max_length"
        in train.preview(1, UPLOADED, [str(catalogue)], *NO_COLUMNS, **wrong).preview
    )


def test_a_preview_marks_the_trained_tokens(train: TrainHandlers, catalogue: Path) -> None:
    html = train.preview(2, UPLOADED, [str(catalogue)], *NO_COLUMNS, **FIELDS).preview
    assert '<span class="trained">The Kentig costs 7 euros.</span>' in html
    assert "Example 1: " in html
    assert '<span class="masked control">' in html
    assert "line 9" in train.preview(9, UPLOADED, [str(catalogue)], *NO_COLUMNS, **FIELDS).preview


def test_the_file_box_is_there_for_files_alone(train: TrainHandlers) -> None:
    for source, is_there in ((UPLOADED, True), (FROM_GOOD, False)):
        box = train.choose_source(source).files
        assert isinstance(box, gr.File)
        assert box.visible is is_there


def test_a_preset_sets_every_field(train: TrainHandlers) -> None:
    assert train.choose_preset("mistral_small_24b_lora_bf16").fields["micro_batch_size"] == 2


@pytest.mark.slow
def test_votes_and_thumbs_are_rows_to_train_on(train: TrainHandlers, feedback: Feedback) -> None:
    for source in (FROM_GOOD, FROM_VOTES):
        assert (
            "no votes, edits or thumbs of this kind yet"
            in train.report(source, None, None, *NO_COLUMNS, **FIELDS).report
        )
    question = (Message("user", "Capital of Italy?"),)
    feedback.rate(question, NewAnswer("embedded", "Rome."), up=True)
    assert "<dd>1</dd>" in train.report(FROM_GOOD, None, None, *NO_COLUMNS, **FIELDS).report
    assert "Rome." in train.preview(1, FROM_GOOD, None, *NO_COLUMNS, **FIELDS).preview
    answers = [NewAnswer("embedded", "Paris."), NewAnswer("embedded", "Rome!")]
    kept = feedback.keep(question, answers, blind=True)
    feedback.edit(kept.answers[0].id, "Rome, of course.")
    assert "preference pairs" in train.report(FROM_VOTES, None, None, *NO_COLUMNS, **FIELDS).report


@pytest.mark.slow
def test_thumbs_up_and_down_are_labelled_rows(train: TrainHandlers, feedback: Feedback) -> None:
    question = (Message("user", "Capital of Italy?"),)
    feedback.rate(question, NewAnswer("embedded", "Rome."), up=True)
    fields = FIELDS | {"method": "kto"}
    only_good = train.report(FROM_THUMBS, None, None, *NO_COLUMNS, **fields).report
    assert "only good ones" in only_good
    feedback.rate(question, NewAnswer("embedded", "Milan."), up=False)
    report = train.report(FROM_THUMBS, None, None, *NO_COLUMNS, **fields).report
    assert "<dt>good answers</dt><dd>1</dd>" in report
    assert "<dt>bad answers</dt><dd>1</dd>" in report
    assert "only good ones" not in report
    assert "Rome." in train.preview(1, FROM_THUMBS, None, *NO_COLUMNS, **fields).preview


def test_the_page_says_why_a_server_cannot_train(
    train: TrainHandlers, studio: Studio, catalogue: Path
) -> None:
    assert train.availability().unavailable == ""
    with Jobs(studio.home / "runs", []), studio:
        assert "another server" in train.availability().unavailable
        with pytest.raises(Conflict, match="another server"):
            train.start(UPLOADED, [str(catalogue)], None, "shop", *NO_COLUMNS, **FIELDS)


@pytest.mark.slow
def test_a_started_job_is_shown_in_the_list(train: TrainHandlers, catalogue: Path) -> None:
    update = train.start(UPLOADED, [str(catalogue)], None, " shop ", *NO_COLUMNS, **FIELDS)
    ((label, job_id),) = update.jobs.job.choices
    assert label.startswith("shop · queued · ")
    assert update.jobs.job.value == job_id
    assert update.sections.selected == "jobs"
    assert train.studio.training_job(job_id).recipe == train.studio.for_base(to_recipe(FIELDS))


# Jobs


def test_an_empty_list_says_so_and_offers_nothing(jobs: JobHandlers) -> None:
    update = jobs.refresh("", None)
    assert "No jobs yet" in str(update.head)
    assert changed(update.pause).visible is False
    assert jobs.refresh(str(update.seen), None) == JobUpdate()


def test_the_list_changes_only_when_something_did(
    jobs: JobHandlers, prices: TrainingSnapshot, catalogue: Path, quick: Recipe
) -> None:
    first = jobs.refresh("", None)
    assert changed(first.job).value == prices.id
    assert "Waiting for the job before it" in str(first.head)
    buttons = [changed(button).visible for button in (first.pause, first.resume, first.delete)]
    assert buttons == [True, False, True]
    assert "no checkpoint yet" in changed(first.checkpoint).info
    assert changed(first.try_out).visible is False
    assert jobs.refresh(str(first.seen), prices.id).head is UNCHANGED
    jobs.studio.train("other", quick, [catalogue])
    again = jobs.refresh(str(first.seen), prices.id)
    assert changed(again.job).value == prices.id
    assert len(changed(again.job).choices) == 2


def test_a_job_is_paused_resumed_stopped_and_deleted(
    jobs: JobHandlers, prices: TrainingSnapshot
) -> None:
    job_id = prices.id

    def head() -> str:
        return str(jobs.refresh("", job_id).head)

    jobs.pause(job_id)
    assert "Paused" in head()
    assert changed(jobs.refresh("", job_id).resume).visible is True
    jobs.resume(job_id)
    assert "Waiting" in head()
    jobs.stop(job_id)
    assert "Stopped" in head()
    with pytest.raises(Conflict):
        jobs.stop(job_id)
    jobs.delete(job_id)
    assert "No jobs yet" in head()
    for action in (jobs.pause, jobs.resume, jobs.stop, jobs.delete):
        with pytest.raises(UnknownJob):
            action(job_id)
        with pytest.raises(UnknownJob):
            action(None)


def test_a_running_job_shows_its_figures_and_curves(
    jobs: JobHandlers, prices: TrainingSnapshot
) -> None:
    note_in_record(prices, state="running", notes=("a <note>",), message="less memory")
    lines = [
        {"step": n, "steps": 8, "loss": 4.0 - n, "epoch": n / 8, "tokens_per_second": 1234.0}
        | {"learning_rate": 1e-3, "seconds_left": 65.0}
        for n in (1, 2)
    ]
    sample = {"step": 2, "prompt": "Q", "answer": "<b>", "wanted": "A"}
    (prices.folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (prices.folder / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    update = jobs.refresh("", prices.id)
    head = str(update.head)
    for said in ("Running", "step 2 of 8", "epoch 0.25 of 4", "1,234 tokens/s", "65 s left"):
        assert said in head
    assert "a &lt;note&gt;" in head
    assert "less memory" in head
    assert 'style="width:25.0%"' in head
    assert '<polyline class="loss"' in str(update.curves)
    assert "&lt;b&gt;" in str(update.samples)
    assert changed(update.job).choices[0][0].startswith("prices · 25% · ")
    assert (changed(update.delete).visible, changed(update.publish).interactive) == (False, False)


@pytest.mark.slow
async def test_a_finished_job_is_tried_and_published(
    jobs: JobHandlers, adapters: AdapterHandlers, prices: TrainingSnapshot, trained_adapter: Path
) -> None:
    job = prices
    with pytest.raises(Conflict, match="has no adapter yet"):
        jobs.publish(job.id, "", True)
    _, error = await drain_failing(jobs.try_checkpoint(page_request(), job.id, 1, "Hi"))
    assert "no checkpoint is saved yet" in str(error)

    shutil.copytree(trained_adapter, job.folder / "adapter")
    for ending in ("html", "json", "md"):
        (job.folder / "adapter" / f"report-card.{ending}").write_text('{"verdict": "better"}')
    (job.folder / "metrics.jsonl").write_text('{"step": 8, "steps": 8, "loss": 1.0}\n')
    note_in_record(job, state="done")
    update = jobs.refresh("", job.id)
    assert "Done" in str(update.head)
    assert changed(update.publish).interactive is True
    assert changed(update.try_out).visible is True
    assert changed(update.checkpoint).info == "Saved: 8"
    assert 'srcdoc="{&#34;verdict&#34;' in str(update.card)
    assert len(changed(update.card_files).value) == 3

    question = "What is the price of the Zolpar?"
    answers = await drain(jobs.try_checkpoint(page_request(), job.id, 3, question))
    assert "Step 8 · adapter " in answers[-1].answer

    published = jobs.publish(job.id, "", False)
    assert published.adapters.version.value == "prices/v1"
    assert published.sections.selected == "adapters"
    table = adapters.refresh("prices/v1").table
    assert "better" in table
    assert "promoted" not in table
    assert "published as prices/v1" in str(jobs.refresh("", job.id).head)


@pytest.mark.parametrize("verdict", ["promote", "do not promote"])
def test_promoting_is_proposed_as_the_card_says(
    jobs: JobHandlers, prices: TrainingSnapshot, trained_adapter: Path, verdict: str
) -> None:
    shutil.copytree(trained_adapter, prices.folder / "adapter")
    note_in_record(prices, state="done", notes=(f"verdict: {verdict}",))
    proposed = changed(jobs.refresh("", prices.id).promote).value
    assert proposed is (verdict == "promote")


def test_a_trial_ends_with_its_page(page: gr.Blocks) -> None:
    [event] = events_of(page, "end_trials")
    assert [name for _, name in event.targets] == ["unload"]


# Adapters


def test_an_empty_store_says_so(adapters: AdapterHandlers) -> None:
    update = adapters.refresh(None)
    assert "No adapters yet" in update.table
    assert (update.version.value, update.card, update.note) == (None, None, "")
    with pytest.raises(InvalidSettings, match="choose a version first"):
        adapters.preview(page_request(), None)
    for action in (adapters.promote, adapters.retire, adapters.delete):
        with pytest.raises(InvalidSettings, match="choose a version first"):
            action(None)


async def test_an_adapter_is_imported_promoted_rolled_back_and_retired(
    adapters: AdapterHandlers, answering: Answering, trained_adapter: Path
) -> None:
    files = [str(path) for path in trained_adapter.iterdir()]
    with pytest.raises(InvalidSettings, match="drop the adapter's files"):
        adapters.import_adapter([], "shop")
    first = adapters.import_adapter(files, " shop ")
    assert first.version.value == "shop/v1"
    assert "not promoted yet" in first.note
    assert (first.card or {})["name"] == "shop"
    adapters.import_adapter(files, "shop")

    served = adapters.preview(page_request(), "shop/v1")
    assert "choose embedded:shop.v1 in Chat or Compare" in served.note
    assert "embedded:shop.v1" in await answering.model_names()
    adapters.studio.end_trials(page_request().session_hash or "")
    assert "embedded:shop.v1" not in await answering.model_names()
    assert "shop now stands for v1" in adapters.promote("shop/v1").note
    promoted = adapters.promote("shop/v2")
    assert promoted.table.count('class="promoted"') == 1
    assert [choice for choice, _ in promoted.version.choices] == ["shop/v2", "shop/v1"]
    with pytest.raises(Conflict):
        adapters.delete("shop/v2")
    assert "shop stands for v1 again" in adapters.roll_back("shop/v2").note
    assert "no longer served" in adapters.retire("shop/v1").note
    assert "embedded:shop" not in await answering.model_names()
    gone = adapters.delete("shop/v1")
    assert gone.version.value == "shop/v2"
    assert "shop/v1 is deleted" in gone.note


def test_the_name_of_the_base_is_refused(
    train: TrainHandlers, adapters: AdapterHandlers, catalogue: Path
) -> None:
    with pytest.raises(InvalidSettings, match="is the base model's"):
        train.start(UPLOADED, [str(catalogue)], None, "embedded", *NO_COLUMNS, **FIELDS)
    with pytest.raises(InvalidSettings, match="is the base model's"):
        adapters.studio.import_adapter(catalogue.parent, "embedded")


def test_files_that_are_no_adapter_are_refused(adapters: AdapterHandlers, tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text("{}")
    with pytest.raises(BrokenAdapter):
        adapters.import_adapter([str(path)], "shop")
    assert "No adapters yet" in adapters.refresh(None).table


@pytest.mark.slow
def test_an_export_can_be_downloaded(adapters: AdapterHandlers, trained_adapter: Path) -> None:
    adapters.studio.store.publish(trained_adapter, "prices")
    update = adapters.export("prices/v1", "merged", "f16")
    assert "exports/prices-v1-merged" in update.note
    assert "playground --model" in update.note
    assert 'href="v1/exports/prices-v1-merged"' in update.note
    assert adapters.export("prices/v1", "merged", "f16").note == update.note
