"""What the Fine-tune tab shows, as HTML. Pure functions from jobs and reports to markup."""

import json
from collections.abc import Sequence
from html import escape

from finetune.data.report import DataReport
from finetune.data.rows import RowError
from finetune.training.duration import duration_text
from finetune.training.plan import TrainingPlan
from playground.store.adapters import Version
from playground.studio.curves import run_curves
from playground.studio.jobs import Job

SHOWN_FAULTS = 30
SHOWN_SAMPLES = 3
GIB, MIB = 2**30, 2**20
IN_GIB = 8 * GIB
STATES = {
    "queued": "Waits for the job before it",
    "running": "Running",
    "paused": "Paused, its memory is free",
    "stopped": "Stopped, its checkpoints are kept",
    "failed": "Failed",
    "done": "Done",
}


def report_html(report: DataReport) -> str:
    """Totals, faults with their lines, lengths."""
    formats = ", ".join(f"{escape(name)} ({count:,})" for name, count in report.formats.items())
    languages = ", ".join(f"{escape(name)} {count:,}" for name, count in report.languages.items())
    cells = [
        *((label, f"{value:,}") for label, value in report.totals()),
        ("training time here, about", duration_text(report.seconds)),
        ("format", formats or "–"),
        ("languages", languages or "–"),
    ]
    shown = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in cells)
    return f'<dl class="facts">{shown}</dl>{_lengths(report)}{faults_html(report.errors)}'


def faults_html(faults: Sequence[RowError]) -> str:
    """Each fault with its file, line and field."""
    if not faults:
        return '<p class="note good">Every row can be trained on.</p>'
    rows = "".join(
        f"<tr><td>{escape(each.file)}:{each.line}</td><td><code>{escape(each.field)}</code></td>"
        f"<td>{escape(each.problem)}</td></tr>"
        for each in faults[:SHOWN_FAULTS]
    )
    more = len(faults) - SHOWN_FAULTS
    rest = f'<p class="note">and {more:,} more; <code>finetune check</code> names all</p>'
    return (
        f'<div class="fields bad-rows"><table><thead><tr><th>Row left out</th><th>Field</th>'
        f"<th>Why</th></tr></thead><tbody>{rows}</tbody></table></div>{rest if more > 0 else ''}"
    )


def _lengths(report: DataReport) -> str:
    most = max((each.rows for each in report.lengths), default=0)
    first = next((at for at, each in enumerate(report.lengths) if each.rows), 0)
    bars = "".join(
        f"<div><span>{each.low:,}–{each.high:,}</span>"
        f'<span class="bar"><span style="width:{each.rows / most:.1%}"></span></span>'
        f"<span>{each.rows:,}</span></div>"
        for each in report.lengths[first:]
    )
    return f'<div class="histogram"><h4>Tokens a row</h4>{bars}</div>' if bars else ""


def plan_html(plan: TrainingPlan, cache: int, available: int) -> str:
    """The memory plan: parts, total, and whether it fits."""
    parts = [*plan.rows()[:-1], ("KV cache of one whole context", cache)]
    total = plan.total + cache
    unit, name = (GIB, "GiB") if total > IN_GIB else (MIB, "MiB")
    rows = "".join(
        f'<tr class="{"total" if label == "total" else ""}"><td>{escape(label)}</td>'
        f"<td>{value / unit:,.{2 if unit == GIB else 0}f}</td></tr>"
        for label, value in [*parts, ("total", total)]
        if value
    )
    fits = total <= available
    verdict = "Fits" if fits else "Does not fit; take a smaller batch or shorter rows"
    return (
        f'<table class="plan"><caption>Memory, {name}</caption>{rows}</table>'
        f'<p class="note {"good" if fits else "bad"}">{verdict}: {available / GIB:,.1f} GiB '
        "are free or hold the base.</p>"
    )


def job_label(job: Job) -> str:
    """A job in the list."""
    how: str = job.state
    if job.state == "running":  # a log is read for this one only: the list is drawn every second
        done, total = job.progress
        how = f"{100 * done // total}%" if total else how
    return f"{job.run.name} · {how} · {job.id[:13]}"


def job_html(job: Job) -> str:
    """State, progress, the latest figures, and what is to be said."""
    done, total = job.progress
    state = job.phase if job.phase == "report card" else job.state
    words = "Making the report card" if state == "report card" else STATES[job.state]
    last = {key: value for line in job.log for key, value in line.items()}
    figures = [f"step {done:,} of {total:,}"] if total else []
    if "epoch" in last:
        figures.append(f"epoch {last['epoch']:.2f} of {job.run.recipe.num_train_epochs:g}")
    if job.state == "running" and "tokens_per_second" in last:
        figures.append(f"{last['tokens_per_second']:,.0f} tokens/s")
    if job.seconds_left:
        figures.append(f"{duration_text(job.seconds_left)} left")
    share = done / total if total else 0
    notes = "".join(f"<li>{escape(note)}</li>" for note in job.notes)
    message = f'<p class="note bad">{escape(job.message)}</p>' if job.message else ""
    published = "".join(f"<li>published as {escape(each)}</li>" for each in job.published)
    return (
        f'<div class="job"><h3>{escape(job.run.name)} <span class="state {job.state}">{words}'
        f'</span></h3><div class="progress" role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{done}"><span style="width:{share:.1%}"></span>'
        f"</div><p>{' · '.join(figures)}</p>{message}<ul>{notes}{published}</ul></div>"
    )


def curves_html(job: Job) -> str:
    """Loss, eval loss and learning rate over steps; nothing before the first."""
    log = job.log
    return run_curves(log, job.progress[1]) if log else ""


def samples_html(job: Job) -> str:
    """What the weights answered on the way, the latest first."""
    samples = job.samples[-SHOWN_SAMPLES:][::-1]
    if not samples:
        return ""
    rows = "".join(
        f"<tr><td>{each['step']:,}</td><td>{escape(each['prompt'][-200:])}</td>"
        f"<td>{escape(each['answer'])}</td><td>{escape(each['wanted'])}</td></tr>"
        for each in samples
    )
    heads = "<tr><th>Step</th><th>Prompt</th><th>Answer</th><th>Wanted</th></tr>"
    return f'<div class="fields"><table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>'


def card_html(job: Job) -> str:
    """The report card, in a frame of its own so that its style is its own."""
    path = job.card("html")
    if path is None:
        return ""
    page = path.read_text(encoding="utf-8")
    return f'<iframe class="card" title="Report card" sandbox="" srcdoc="{escape(page)}"></iframe>'


def verdict_of(version: Version) -> str:
    """The verdict of a version's report card, if it has one."""
    try:
        body = json.loads((version.folder / "report-card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "–"
    return str(body.get("verdict", "–"))


def adapters_html(versions: Sequence[Version]) -> str:
    """Every version in the store."""
    if not versions:
        return '<p class="empty">No adapters yet. Train one, or import one below.</p>'
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{each.version}"
        f"{' <b class=promoted>promoted</b>' if each.promoted else ''}</td>"
        f"<td><code>{escape(each.content_hash[:8])}</code></td>"
        f"<td>{escape(str(each.card.get('base') or '–'))}</td>"
        f"<td>{escape(str(each.card.get('data', {}).get('rows', '–')))}</td>"
        f"<td>{escape(verdict_of(each))}</td>"
        f"<td>{escape(str(each.card.get('date', '–'))[:16].replace('T', ' '))}</td></tr>"
        for each in versions
    )
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("Name", "Version", "Content", "Base", "Rows", "Verdict", "Trained")
    )
    return (
        f'<div class="fields"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )
