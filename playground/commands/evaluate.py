"""`playground eval`: lm-eval's tasks on the model in this process, its adapters, or another server.

Called `evaluate` here because `eval` is Python's.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from playground.commands.options import with_settings
from playground.commands.sweep import INTERRUPTED
from playground.errors import InvalidSettings, UnknownAdapter, UnknownModel
from playground.files import write_atomic
from playground.runtime import freeze_heap, quiet_libraries
from playground.settings import Flags, Settings, load_settings

if TYPE_CHECKING:
    from playground.backends.local import LocalBackend
    from playground.evaluation.harness.tasks import Tasks
    from playground.lab.sweeps.harness import HarnessRun, ModelResult
    from playground.protocol import Backend
    from playground.store.adapters import Version

URL_ALIAS = "server"
"""What models are called that ``--url`` asks: ``server/NAME``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who answers: a backend, the models there, and the version in the store that the last one is,
    if it is one."""

    backend: "Backend"
    models: tuple[str, ...]
    version: "Version | None" = None


@with_settings("", "model", "engine", "adapters", "sweeps", "backends", "usage")
def evaluate(
    flags: Flags,
    tasks: Annotated[
        str,
        typer.Option(
            help="Tasks, groups or patterns of lm-eval's, with commas between them; core is MMLU, "
            "HumanEval, MATH, IFEval and GSM8K."
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            help="Ask this model: an adapter as NAME or NAME@v2, another server's as ALIAS/NAME; "
            "the loaded one if none is named.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Ask the playground that runs there; nothing is loaded here.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="First rows of each task only.")] = None,
    num_fewshot: Annotated[
        int | None, typer.Option(min=0, help="Worked examples before each row.")
    ] = None,
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template", help="Ask in the model's chat template.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="For drawing worked examples.")] = 1234,
    confirm_run_unsafe_code: Annotated[
        bool,
        typer.Option(
            "--confirm-run-unsafe-code", help="Let tasks run code that the model wrote, here."
        ),
    ] = False,
    card: Annotated[
        bool,
        typer.Option(
            "--card", help="Ask the base, too, and add both to the adapter's report card."
        ),
    ] = False,
    output: Annotated[Path, typer.Option(help="The result's file.")] = Path("eval.result.json"),
) -> None:
    """Run public benchmarks, or your own tasks, by lm-eval (the extra eval).

    What was answered is kept by weights and request: a second run asks nothing again.
    """
    settings = load_settings(flags)
    quiet_libraries()
    from playground.evaluation.harness.tasks import load_tasks
    from playground.lab.sweeps.harness import read_harness_run, result_of_run
    from playground.lab.sweeps.result import to_text

    if card and (url or not models or len(models) > 1):
        raise InvalidSettings("--card takes one adapter: --on NAME@v2")
    run = read_harness_run(
        {
            "tasks": tasks, "models": list(models or ["base"]), "limit": limit,
            "num_fewshot": num_fewshot, "apply_chat_template": apply_chat_template, "seed": seed,
        },
        settings.sweeps.task_folders,
    )  # fmt: skip
    run = replace(run, choice=replace(run.choice, unsafe_code=confirm_run_unsafe_code))
    loaded = load_tasks(run.choice)  # what is wrong is said before a model is loaded
    with _asked(settings, models or [], url, with_base=card) as asked:
        run = replace(run, models=asked.models)
        results = _run(asked.backend, run, settings.home, loaded)
    try:
        write_atomic(output, to_text(result_of_run(run, results).as_json()))
    except OSError as error:
        raise InvalidSettings(f"{output}: {error.strerror}") from error
    _print(results)
    if card and asked.version:
        _add_to_card(asked.version, results)
    print(output)


@contextmanager
def _asked(
    settings: Settings, names: Sequence[str], url: str | None, *, with_base: bool
) -> Iterator[Asked]:
    """Open whoever answers. No model is loaded where another server has all of them."""
    from playground import app

    if url:
        from playground.settings.backends import BackendSettings

        far = BackendSettings(alias=URL_ALIAS, url=url, kind="playground")
        settings = settings.model_copy(update={"backends": (far,)})
        names = [f"{URL_ALIAS}/{name}" for name in names]
    aliases = [backend.alias for backend in settings.backends]
    far_away = {name.partition("/")[0] for name in names if "/" in name} & set(aliases)
    if url or (names and all(name.partition("/")[0] in far_away for name in names)):
        with app.open_remotes(settings) as remotes:
            wanted = far_away or {URL_ALIAS}
            if len(wanted) > 1:
                raise InvalidSettings("--on: models of one server at a time")
            remote = next(each for each in remotes if each.alias in wanted)
            asyncio.run(remote.refresh())
            served = asyncio.run(_names(remote))
            yield Asked(remote, tuple(names) or served[:1])
        return
    with (
        app.start_backend(settings) as resident,
        app.beside_remotes(settings, resident, "eval") as router,
    ):
        freeze_heap()
        known = asyncio.run(_names(router))
        base = resident.default_model.name
        version: Version | None = None
        asked = [base] if with_base or not names else []
        for name in names:
            if name in known or f"{base}:{name}" in known:
                asked.append(name)
            else:
                version = _stored(name, settings.home, known)
                asked.append(_serve(resident, version))
        if with_base and version is None:
            raise InvalidSettings("--card takes an adapter of the store: --on NAME@v2")
        yield Asked(router, tuple(dict.fromkeys(asked)), version)


async def _names(backend: "Backend") -> tuple[str, ...]:
    return tuple(info.name for info in await backend.models())


def _stored(name: str, home: Path, known: Sequence[str]) -> "Version":
    """Find a version in the store: NAME, NAME@v2, NAME/v2 or NAME.v2. Raises `UnknownModel`."""
    from playground.store.adapters import AdapterStore
    from playground.studio.model_names import parse_version_name

    store = AdapterStore(home / "adapters")
    plain = name.replace("@", "/")
    for found in ((plain, None), parse_version_name(plain)):
        try:
            if found:
                return store.find(*found)
        except UnknownAdapter:
            continue
    raise UnknownModel(name, [*known, *store.names()])


def _serve(resident: "LocalBackend", version: "Version") -> str:
    from playground.studio.model_names import version_name

    name = version_name(version.name, version.version)
    return resident.load_adapter(version.folder, name).name


def _run(backend: "Backend", run: "HarnessRun", home: Path, tasks: "Tasks") -> "list[ModelResult]":
    """Ask with a bar; the first Ctrl+C keeps what is answered, and ends."""
    from playground.evaluation.harness.run import RunHooks
    from playground.evaluation.report_card import EvaluationStopped
    from playground.lab.sweeps.harness import run_harness

    stop_event = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop_event.set())
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("", total=None)
            hooks = RunHooks(
                stop_event,
                lambda done, total: progress.update(bar, completed=done, total=total),
            )
            return list(run_harness(backend, run, home, hooks, tasks))
    except EvaluationStopped:
        console.print("stopped; the same command goes on")
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _print(results: "Sequence[ModelResult]") -> None:
    from rich.table import Table

    from playground.lab.sweeps.harness import value_text

    table = Table("task", "metric", "rows", "shots", *(each.model.name for each in results))
    for number, figure in enumerate(results[0].result.figures):
        metric = figure.name.removeprefix(f"{figure.task} ")
        cells = [value_text(each.result.figures[number]) for each in results]
        table.add_row(figure.task, metric, str(figure.rows), str(figure.num_fewshot), *cells)
    console = Console()
    console.print(table)
    asked, total = (
        sum(getattr(each.result, name) for each in results) for name in ("asked", "requests")
    )
    console.print(f"{total} requests, {asked} of them asked now", highlight=False)


def _add_to_card(version: "Version", results: "Sequence[ModelResult]") -> None:
    """Add base and adapter, asked the same tasks, to the report card beside the adapter."""
    from playground.evaluation.harness.card import task_changes
    from playground.evaluation.report_card_formats import write_report_card
    from playground.evaluation.report_card_reading import card_of_tasks, read_report_card

    base, adapter = (each.result for each in results)
    changes = task_changes(base, adapter)
    lanes = ("base", f"{version.name} {version.version}")
    card = read_report_card(version.folder) or card_of_tasks(lanes, ())
    now = {(each.task, each.metric) for each in changes}
    kept = [each for each in card.tasks if (each.task, each.metric) not in now]
    card = replace(card, tasks=(*kept, *changes))
    paths = write_report_card(card, version.folder)
    for change in changes:
        print(change.sentence)
    print(paths["html"])
