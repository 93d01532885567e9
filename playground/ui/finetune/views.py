"""The Fine-tune tab's HTML. Pure functions from jobs, reports and versions to markup."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from playground.jobs import JobSummary
from playground.store.adapters import Version
from playground.studio.kinds.train import (
    PUBLISHING,
    REPORT_CARD,
    VALIDATING,
    TrainingSnapshot,
)
from playground.studio.training import DataReport, ExamplePreview, duration_text
from playground.ui.components.markup import render
from playground.ui.finetune.curves import run_curves

if TYPE_CHECKING:
    from playground.studio.training import TrainingPlan

SHOWN_ERRORS = 30
SHOWN_SAMPLES = 3
LONGEST_PROMPT = 200
GIB, MIB = 2**30, 2**20
IN_GIB = 8 * GIB
PHASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        VALIDATING: "Checking the rows",
        REPORT_CARD: "Writing the report card",
        PUBLISHING: "Publishing the adapter",
    }
)
STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "queued": "Waiting for the job before it",
        "running": "Running",
        "paused": "Paused; its memory is free",
        "stopped": "Stopped; its checkpoints are kept",
        "failed": "Failed",
        "done": "Done",
    }
)


def welcome_html() -> str:
    """Return what the tab says before there are rows."""
    return render("finetune/welcome.html")


def no_jobs_html() -> str:
    """Return what the list of jobs says while it is empty."""
    return render("finetune/no_jobs.html")


def report_html(report: DataReport) -> str:
    """Return totals, kinds of errors and notes, and the lengths."""
    facts = [
        *((label, f"{value:,}") for label, value in report.totals()),
        ("training time here, about", duration_text(report.seconds)),
        ("format", ", ".join(f"{name} ({count:,})" for name, count in report.formats.items())),
        ("languages", ", ".join(f"{name} {count:,}" for name, count in report.languages.items())),
    ]
    first = next((index for index, bin in enumerate(report.lengths) if bin.rows), 0)
    return render(
        "finetune/report.html",
        facts=facts,
        bins=report.lengths[first:],
        most=max((bin.rows for bin in report.lengths), default=0),
        errors=report.errors[:SHOWN_ERRORS],
        more=max(0, len(report.errors) - SHOWN_ERRORS),
        notes=report.notes[:SHOWN_ERRORS],
        problems=report.problems,
        advice=report.advice,
        rows=report.rows,
    )


def plan_html(plan: "TrainingPlan", cache: int, available: int) -> str:
    """Return the memory plan: parts, total, and whether it fits."""
    total = plan.total + cache
    unit, unit_name = (GIB, "GiB") if total > IN_GIB else (MIB, "MiB")
    parts = [*plan.rows()[:-1], ("KV cache of one full context", cache), ("total", total)]
    digits = 2 if unit == GIB else 0
    return render(
        "finetune/plan.html",
        unit=unit_name,
        rows=[(label, f"{size / unit:,.{digits}f}") for label, size in parts if size],
        fits=total <= available,
        available=f"{available / GIB:,.1f} GiB",
    )


def preview_html(examples: Sequence[ExamplePreview]) -> str:
    """Return a row's examples, trained tokens marked."""
    return render("finetune/preview.html", examples=examples)


def job_label(job: JobSummary) -> str:
    """Return a job's entry in the list."""
    state: str = job.state
    if state == "running":
        done, total = job.progress
        state = f"{100 * done // total}%" if total else state
    return f"{job.name} · {state} · {job.id[:15]}"


def job_html(job: TrainingSnapshot) -> str:
    """Return state, progress, the latest figures, and remarks."""
    done, total = job.progress
    return render(
        "finetune/job.html",
        job=job,
        remarks=[*job.notes, *(f"published as {version}" for version in job.published)],
        state=PHASES.get(job.phase, STATES[job.state]),
        done=done,
        total=total,
        figures=_figures(job),
    )


def _figures(job: TrainingSnapshot) -> list[str]:
    done, total = job.progress
    last = {key: value for line in job.log for key, value in line.items()}
    figures = [f"step {done:,} of {total:,}"] if total else []
    if "epoch" in last and job.recipe:
        chosen = job.recipe.num_train_epochs
        figures.append(f"epoch {last['epoch']:.2f}" + (f" of {chosen:g}" if chosen else ""))
    if job.state == "running" and "tokens_per_second" in last:
        figures.append(f"{last['tokens_per_second']:,.0f} tokens/s")
    if job.seconds_left:
        figures.append(f"{duration_text(job.seconds_left)} left")
    return figures


def curves_html(job: TrainingSnapshot) -> str:
    """Return loss, eval loss and learning rate over steps; nothing before the first."""
    return run_curves(job.log, job.progress.total) if job.log else ""


def samples_html(job: TrainingSnapshot) -> str:
    """Return what checkpoints answered, the latest first."""
    samples = job.samples[-SHOWN_SAMPLES:][::-1]
    return render("finetune/samples.html", samples=samples, longest=LONGEST_PROMPT)


def card_html(job: TrainingSnapshot) -> str:
    """Return the report card in a frame of its own, so that its style is its own."""
    path = job.report_card.get("html")
    return render("finetune/card.html", page=path.read_text(encoding="utf-8")) if path else ""


def checkpoint_answer_html(text: str, step: int, adapter_hash: str) -> str:
    """Return what a checkpoint answered."""
    return render("finetune/answer.html", text=text, step=step, adapter_hash=adapter_hash)


def adapters_html(versions: Sequence[Version]) -> str:
    """Return every version in the store as a table."""
    return render("finetune/adapters.html", versions=list(map(_version_row, versions)))


def _version_row(version: Version) -> dict[str, object]:
    card, data = version.card, version.card.get("data")
    return {
        "name": version.name,
        "version": version.version,
        "promoted": version.promoted,
        "content": version.content_hash[:8],
        "base": card.get("base") or "–",
        "rows": data.get("rows", "–") if isinstance(data, dict) else "–",
        "verdict": version.verdict or "–",
        "trained": str(card.get("date", "–"))[:16].replace("T", " "),
    }
