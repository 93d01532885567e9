"""The `finetune` command. Knows flags and what is printed; heavy libraries are imported late."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.embedded.config import Recipe
from finetune.embedded.steps import Step, run
from playground.errors import PlaygroundError
from playground.quiet import quiet_libraries
from playground.settings import load_settings

if TYPE_CHECKING:
    from finetune.experts.rows import Conversation, Fault
    from finetune.experts.views import View
    from playground.models.loaded import LoadedModel
    from playground.models.tokenizer import ChatTokenizer

Model = Annotated[str, typer.Option("--model", "-m", help="The base model whose template holds.")]
Longest = Annotated[int, typer.Option(min=16, help="Tokens; a longer row is named, not cut.")]
RowsFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines.")]
BAD_INPUT, FAILED_RUN = 1, 3

cli = typer.Typer(
    name="finetune",
    help="Training for the Mistral playground.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cli.callback()
def _finetune() -> None:
    """Training for the Mistral playground."""


@cli.command()
def embedded(
    step: Annotated[Step, typer.Argument(help="One step of the recipe, or all of them.")] = "build",
    build: Annotated[Path, typer.Option(help="Work folder.")] = Path("build/embedded"),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; every phase in proportion.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows a family in the evaluation.")] = 300,
    curve: Annotated[
        int, typer.Option(min=0, help="Rows a family answered at each tenth of the pre-training.")
    ] = 0,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="Evaluate what is published, through the engine with its grammars."
        ),
    ] = False,
) -> None:
    """Make the model that ships with the playground: tokenizer, pretrain, publish, evaluate.

    An interrupted run goes on from its last checkpoint.
    """
    if engine:
        _evaluate_through_engine(rows)
        return
    recipe = Recipe().shortened(steps) if steps else Recipe()
    run(step, recipe, build, rows, curve)


def _evaluate_through_engine(rows: int) -> None:
    from finetune.embedded.evaluate import evaluate
    from finetune.embedded.publish import PACKAGE_FOLDER
    from finetune.embedded.rendering import Renderer
    from finetune.through_engine import EngineAnswers
    from playground.engine import Engine
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    with Engine(load(ModelSpec("embedded"))) as running:
        print("| family | exact | 95% interval | rows |\n|---|---|---|---|", flush=True)
        evaluate(EngineAnswers(running, Renderer(PACKAGE_FOLDER / "tekken.json")), rows)


@cli.command()
def check(file: RowsFile, model: Model = "embedded", longest: Longest = 2048) -> None:
    """Read a file of rows and say what is in it: format, tokens, and every fault with its line."""
    rows, views, faults = _views(file, _tokenizer(model), longest)
    for fault in faults:
        print(fault)
    table = Table(show_header=False)
    for name, value in (
        ("rows", len(rows)),
        ("trained views", len(views)),
        ("faults", len(faults)),
        ("tokens", sum(len(view.token_ids) for view in views)),
        ("of them trained", sum(view.trained for view in views)),
        ("longest", max((len(view.token_ids) for view in views), default=0)),
    ):
        table.add_row(name, f"{value:,}")
    Console().print(table)
    if faults or not views:
        raise typer.Exit(BAD_INPUT)


@cli.command()
def preview(
    file: RowsFile,
    row: Annotated[int, typer.Option(min=1, help="Its line in the file.")] = 1,
    model: Model = "embedded",
    longest: Longest = 2048,
) -> None:
    """Show a row's tokens: those that are learned in bold green, the others dim."""
    from finetune.experts.rows import read_rows
    from finetune.experts.views import MASKED, views_of

    tokenizer = _tokenizer(model)
    names = tokenizer.control_tokens
    found = [each for each in read_rows(file).conversations if each.line == row]
    if not found:
        print(f"error: line {row} of {file} holds no row that can be trained", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    views, faults = views_of(found[0], tokenizer, longest, file.name)
    for fault in faults:
        print(fault)
    for number, view in enumerate(views, start=1):
        shown = Text(f"view {number}, {view.trained} of {len(view.token_ids)} tokens trained\n")
        for token, label in zip(view.token_ids, view.labels, strict=True):
            piece = names.get(token) or tokenizer.token_bytes(token).decode("utf-8", "replace")
            shown.append(piece, style="dim" if label == MASKED else "bold green")
        Console().print(shown)


@cli.command()
def train(
    file: RowsFile,
    name: Annotated[str, typer.Option(help="The adapter's name.")],
    recipe: Annotated[str, typer.Option(help="A preset, or a YAML file.")] = "embedded_cpu",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Another base.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    rank: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    replay: Annotated[float | None, typer.Option(help="Share of general rows.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where; PLAYGROUND_HOME/adapters else.")] = None,
) -> None:
    """Train a LoRA adapter on a file of rows, and write it where the playground finds it."""
    from finetune.experts.recipe import read_recipe
    from finetune.experts.train import train as train_adapter
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    changes = {"base": model, "epochs": epochs, "learning_rate": learning_rate, "rank": rank}
    chosen = read_recipe(recipe, **changes, seed=seed, replay=replay)
    folder = (out or load_settings().home / "adapters") / name
    spec = ModelSpec(chosen.base, precision=chosen.precision, quantization=chosen.quantization)
    loaded = load(spec, home=load_settings().home)
    _, views, faults = _views(file, loaded.tokenizer, chosen.longest)
    for fault in faults:
        print(fault, file=sys.stderr)
    general = _replay(loaded, chosen.longest)

    def report(values: dict[str, float]) -> None:
        shown = {key: f"{value:.4g}" for key, value in values.items() if key in REPORTED}
        print("  ".join(f"{key} {value}" for key, value in shown.items()), flush=True)

    done = train_adapter(chosen, loaded, views, general, folder, report)
    print(f"{done.folder}: {done.steps} steps, loss {done.loss:.4f}, {done.seconds:.0f} s")


@cli.command("list")
def list_adapters() -> None:
    """The adapters in PLAYGROUND_HOME."""
    from finetune.experts.card import read_card

    table = Table("name", "version", "base", "rows", "date")
    for folder in sorted((load_settings().home / "adapters").glob("*/")):
        card = read_card(folder)
        if card:
            data: dict[str, Any] = card["data"]
            table.add_row(
                card["name"], card["version"], card["base"], str(data["rows"]), card["date"]
            )
    Console().print(table)


@cli.command()
def show(name: Annotated[str, typer.Argument(help="An adapter in PLAYGROUND_HOME.")]) -> None:
    """An adapter's card."""
    from finetune.experts.card import read_card

    card = read_card(load_settings().home / "adapters" / name)
    if card is None:
        print(f"error: no adapter {name} with a card", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    print(json.dumps(card, indent=1, ensure_ascii=False))


REPORTED = ("step", "loss", "learning_rate", "epoch")


def _tokenizer(model: str) -> "ChatTokenizer":
    from playground.models.download import locate
    from playground.models.loader import load_tokenizer
    from playground.models.spec import ModelSpec

    return load_tokenizer(locate(ModelSpec(model), load_settings().home))


def _views(
    file: Path, tokenizer: "ChatTokenizer", longest: int
) -> tuple[list["Conversation"], list["View"], list["Fault"]]:
    from finetune.experts.rows import read_rows
    from finetune.experts.views import views_of

    read = read_rows(file)
    views: list[View] = []
    faults: list[Fault] = list(read.faults)
    for conversation in read.conversations:
        own, wrong = views_of(conversation, tokenizer, longest, file.name)
        views += own
        faults += wrong
    return list(read.conversations), views, faults


def _replay(loaded: "LoadedModel", longest: int) -> list["View"]:
    """General rows shipped beside a base model, if there are any."""
    from playground.models.download import locate

    path = locate(loaded.spec) / "replay.jsonl"
    return _views(path, loaded.tokenizer, longest)[1] if path.is_file() else []


def main() -> None:
    """The entry point: what is wrong is one line. Exits with 1 for bad input, 2 for wrong usage."""
    quiet_libraries()
    try:
        cli()
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None
