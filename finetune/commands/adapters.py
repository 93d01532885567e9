"""Commands on adapters: evaluate, list, show, promote, roll back, retire, delete, import."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table

from finetune.commands.common import BAD_INPUT, adapter_folder, base_of, check_base, home

if TYPE_CHECKING:
    from playground.store.adapters import AdapterStore

Name = Annotated[str, typer.Argument(help="An adapter's name.")]
BaseModel = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Base model to check against, instead of the one it names."),
]
VersionName = Annotated[str, typer.Argument(help="v1, v2, …")]


def evaluate(
    adapter: Annotated[str, typer.Argument(help="A folder, a run, or a name.")],
    data: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Rows it was not trained on.")
    ],
    against: Annotated[str, typer.Option(help="base, or another adapter.")] = "base",
    regression: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="General rows; by default those shipped with the base.",
        ),
    ] = None,
    regex: Annotated[str | None, typer.Option(help="Searched in every answer.")] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="A rubric by which the base model compares the two answers, in both orders."
        ),
    ] = None,
    metric: Annotated[
        Literal["exact", "F1", "JSON", "judge", "loss"] | None,
        typer.Option(help="What decides the verdict; by default what fits the rows."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the card's three files, instead of the adapter's own."),
    ] = None,
) -> None:
    """Make the report card: adapter and base on the same rows, with intervals and a verdict.

    Writes report-card.json, .md and .html. Rows that it was trained on are not held out.
    """
    from finetune.recipe import Recipe, make_recorded
    from finetune.training.adapter_card import read_card
    from playground.evaluation.judge import Judge
    from playground.evaluation.report_card_formats import to_markdown, write_report_card
    from playground.evaluation.report_card_reading import read_report_card
    from playground.evaluation.run import Grading
    from playground.evaluation.run import evaluate as make_report_card
    from playground.studio.evaluation_rows import evaluation_sets
    from playground.studio.training_advice import (
        TrainingFacts,
        num_trained_rows,
        read_metrics,
        suited_learning_rate,
        training_advice,
    )

    # Refused before a base is loaded.
    grading = Grading(regex, Judge("", judge) if judge else None, metric)
    folder = adapter_folder(adapter)
    card = read_card(folder)
    recorded = card.get("recipe") if card else None
    recipe = make_recorded(recorded) if isinstance(recorded, dict) else Recipe()
    others = [] if against == "base" else [adapter_folder(against)]
    loaded = base_of(recipe)
    if judge:
        grading = replace(grading, judge=Judge(loaded.name, judge))
    sets = evaluation_sets(loaded, home(), data, regression, recipe.max_length, folder)
    made = make_report_card(loaded, [*others, folder], sets, grading)
    facts = TrainingFacts(
        recipe,
        num_trained_rows(folder),
        read_metrics(folder.resolve().parent),
        suited_learning_rate(recipe.base_model, home()),
    )
    advice = training_advice(made, facts) if card else ()
    before = read_report_card(folder)
    made = replace(
        made,
        advice=advice,
        made_of={**made.made_of, "data": data.name},
        tasks=before.tasks if before else (),  # of the same weights
    )
    paths = write_report_card(made, out or folder)
    Console().print(Markdown(to_markdown(made).split("### Worst answers")[0]))
    print(paths["html"])


def list_adapters() -> None:
    """List the adapters in the store, and the runs."""
    from playground.studio.runs import list_runs

    name = Column("adapter", overflow="fold")  # names and dates stay whole, hashes are cut
    date = Column("date (UTC)", no_wrap=True)
    table = Table(name, "promoted", "verdict", "content", "base", "rows", date)
    store = _store()
    for each in store.names():
        for version in store.versions(each):
            data = version.card.get("data")
            table.add_row(
                f"{each}/{version.version}",
                "yes" if version.promoted else "",
                version.verdict,
                version.content_hash,
                str(version.card.get("base") or ""),
                str(data.get("rows", "")) if isinstance(data, dict) else "",
                str(version.card.get("date", ""))[:16].replace("T", " "),
            )
    Console().print(table)
    runs = Table("run", "adapter", "state")
    for run in list_runs(home()):
        runs.add_row(run.folder.name, run.name, run.state)
    Console().print(runs)


def show(
    name: Annotated[str, typer.Argument(help="NAME, NAME/VERSION, a folder or a run.")],
) -> None:
    """Print an adapter's card, or how far an unfinished run is."""
    from finetune.training.adapter_card import read_card
    from playground.errors import InvalidSettings, UnknownAdapter
    from playground.studio.runs import describe, find_run

    card = read_card(Path(name))
    if card is None:
        try:
            card = dict(_store().find(name).card)
        except UnknownAdapter:
            try:
                run = find_run(home(), name)
            except InvalidSettings:
                print(f"error: no adapter {name} with a card, and no such run", file=sys.stderr)
                raise typer.Exit(BAD_INPUT) from None
            card = (read_card(run.adapter) if run.adapter else None) or describe(run)
    print(json.dumps(card, indent=1, ensure_ascii=False))


def promote(name: Name, version: VersionName, model: BaseModel = None) -> None:
    """Point a name at a version, if it fits its base. A running server follows within a second."""
    store = _store()
    check_base(store.find(name, version).folder, name, model)
    print(store.promote(name, version).folder)


def rollback(name: Name) -> None:
    """Point a name at the version promoted before. A running server follows within a second."""
    print(_store().roll_back(name).folder)


def retire(name: Name) -> None:
    """Stop serving a name; its versions stay. A running server follows within a second."""
    _store().retire(name)


def delete(name: Name, version: VersionName) -> None:
    """Remove a version that is not promoted."""
    _store().delete(name, version)


def import_adapter(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="PEFT's format.")],
    name: Annotated[str, typer.Option(help="The adapter's name.")],
    model: BaseModel = None,
) -> None:
    """Add an adapter made elsewhere to the store: safetensors only, not promoted yet.

    It must fit its base model. The server's Adapters tab also reads mistral-finetune's format.
    """
    check_base(folder, name, model)
    print(_store().publish(folder, name).folder)


def _store() -> "AdapterStore":
    from playground.store.adapters import AdapterStore

    return AdapterStore(home() / "adapters")


def schema() -> None:
    """The JSON schema of a recipe, for editors that complete YAML."""
    from finetune.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=1, ensure_ascii=False))
