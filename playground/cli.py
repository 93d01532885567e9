"""The `playground` command: serve (the default), chat, plan, bench, models, settings.

Knows flags and what is printed. Heavy libraries are imported inside the commands, so that --help
and a wrong flag are answered at once.
"""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from playground import __version__
from playground.errors import InvalidSettings, PlaygroundError
from playground.runtime import quiet_libraries
from playground.settings import Quantization, Settings, load_settings, origin

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A catalogue name, a hub id or a local folder."),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub repository.")]
Precision = Annotated[str | None, typer.Option(help="auto, bf16, fp16 or fp32.")]
Quantize = Annotated[
    str | None, typer.Option("--quantization", "-q", help="none, int8 or nf4 (double-quantized).")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Context = Annotated[int | None, typer.Option(help="Tokens of context; the model's own if unset.")]
Home = Annotated[Path | None, typer.Option(help="Folder for downloads and all state.")]

cli = typer.Typer(
    name="playground",
    help="A self-hosted playground for Mistral Small and other causal language models. Without a "
    "command it serves the page and the API.",
    invoke_without_command=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cli.callback()
def serve(
    context: typer.Context,
    model: Model = None,
    revision: Revision = None,
    precision: Precision = None,
    quantization: Quantize = None,
    device: Device = None,
    context_length: Context = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one.")] = None,
    api_key: Annotated[str | None, typer.Option(help="API requests must carry it.")] = None,
    home: Home = None,
    adapter: Annotated[
        list[str] | None, typer.Option(help="Serve this LoRA adapter too: [NAME=]FOLDER.")
    ] = None,
    adapters_from_anywhere: Annotated[
        bool | None,
        typer.Option(
            "--adapters-from-anywhere", help="API clients may load adapters from any folder."
        ),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(help="What training takes beside answers: low, balanced or high."),
    ] = None,
    isolated: Annotated[
        bool | None,
        typer.Option("--isolated", help="Train in a process of its own, with its own base."),
    ] = None,
    run_tools: Annotated[
        bool | None,
        typer.Option("--run-tools", help="Tools run on this machine, the built-in ones first."),
    ] = None,
    tools: Annotated[
        list[Path] | None,
        typer.Option(help="A Python file whose public functions become tools (--run-tools)."),
    ] = None,
    tool_documents: Annotated[
        Path | None, typer.Option(help="A folder that search_documents looks in (--run-tools).")
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(help="An MCP server: NAME=URL or NAME=COMMAND (--run-tools)."),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Serve the page and the API until Ctrl-C."""
    flags = {
        "model": model,
        "revision": revision,
        "precision": precision,
        "quantization": quantization,
        "device": device,
        "context_length": context_length,
        "host": host,
        "port": port,
        "api_key": api_key,
        "home": home,
        "adapters": tuple(adapter) if adapter else None,
        "adapters_from_anywhere": adapters_from_anywhere,
        "training": training,
        "isolated": isolated,
        "run_tools": run_tools,
        "tool_files": tuple(tools) if tools else None,
        "tool_documents": tool_documents,
        "mcp_servers": tuple(mcp) if mcp else None,
        "log_level": log_level,
    }
    if version:
        print(f"mistral-playground {__version__}")
        raise typer.Exit
    context.obj = flags  # flags before a command hold for the command, too
    if context.invoked_subcommand:
        return
    settings = load_settings(**flags)
    from playground import app

    app.serve(settings)


@cli.command()
def chat(
    context: typer.Context,
    message: Annotated[
        list[str] | None, typer.Argument(help="Answer this and leave; '-' reads standard input.")
    ] = None,
    model: Model = None,
    revision: Revision = None,
    precision: Precision = None,
    quantization: Quantize = None,
    device: Device = None,
    context_length: Context = None,
    home: Home = None,
    system: Annotated[str, typer.Option("--system", "-s", help="The system prompt.")] = "",
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same answer.")] = None,
) -> None:
    """Chat in the terminal, with the model loaded here."""
    settings = _settings(
        context,
        model=model,
        revision=revision,
        precision=precision,
        quantization=quantization,
        device=device,
        context_length=context_length,
        home=home,
    )
    from playground import app, terminal

    quiet_libraries()
    with app.start_engine(settings) as engine:
        given = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        sampling = replace(engine.models()[0].defaults, **chosen)
        conversation = terminal.Conversation(engine, sampling, system)
        if not message:
            terminal.converse(conversation, sys.stdout)
            return
        text = sys.stdin.read() if message == ["-"] else " ".join(message)
        conversation.ask(text, sys.stdout)
        print()


@cli.command()
def plan(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="As for --model.")] = None,
    quantization: Annotated[
        str | None, typer.Option("--quantization", "-q", help="Only this one; all if unset.")
    ] = None,
    precision: Precision = None,
    device: Device = None,
    context_length: Context = None,
    revision: Revision = None,
    home: Home = None,
) -> None:
    """What serving a model and training on it take in memory, before anything is loaded."""
    settings = _settings(
        context,
        model=model,
        quantization=quantization,
        precision=precision,
        device=device,
        context_length=context_length,
        revision=revision,
        home=home,
    )
    from playground import app
    from playground.models.config import choose_device
    from playground.models.plan import available_bytes
    from playground.models.plan import plan as plan_memory

    quiet_libraries()
    spec = app.model_spec(settings)
    where = choose_device(spec.device)
    free = available_bytes(where)
    kinds: tuple[Quantization, ...] = ("none", "int8", "nf4")
    if quantization:
        kinds = (settings.quantization,)
    plans = [plan_memory(replace(spec, quantization=kind), home=settings.home) for kind in kinds]
    unit, name = (2**30, "GiB") if plans[0].total > 2**30 else (2**20, "MiB")
    table = Table(
        title=f"{settings.model}: {plans[0].parameters:,} parameters, in {name}", box=box.SIMPLE
    )
    table.add_column("")
    for kind in kinds:
        table.add_column("not quantized" if kind == "none" else kind, justify="right")
    for cells in zip(*(each.rows() for each in plans), strict=True):
        label = cells[0][0].split(" (")[0]
        table.add_row(label, *(f"{size / unit:,.2f}" for _, size in cells), style=_weight(label))
    table.add_section()
    table.add_row(f"free on {where}", *[f"{free / unit:,.2f}"] * len(plans))
    fitting = [each.largest_context(free) for each in plans]
    table.add_row("tokens of context it holds", *(f"{n:,}" if n else "none" for n in fitting))
    if where.type == "cpu":
        copies = [each.weights if each.quantization == "none" else 0 for each in plans]
        shown = [f"{copy / unit:,.2f}" if copy else "" for copy in copies]
        table.add_row("packed copy, where it fits", *shown)
    Console().print(table)
    _print_training_plans(settings, kinds, free)


def _print_training_plans(settings: Settings, kinds: tuple[Quantization, ...], free: int) -> None:
    """What training an adapter takes, of the base's weights and of its own."""
    from finetune.presets import recipe_for
    from finetune.training.plan import plan as plan_training

    recipes = [
        recipe_for(settings.model, kind, settings.precision, settings.home) for kind in kinds
    ]
    plans = [plan_training(recipe, home=settings.home) for recipe in recipes]
    unit, name = (2**30, "GiB") if plans[0].total > 2**30 else (2**20, "MiB")
    table = Table(
        title=f"training a LoRA adapter, rank {recipes[0].lora_r}, {name}", box=box.SIMPLE
    )
    table.add_column("")
    for kind in kinds:
        table.add_column("not quantized" if kind == "none" else kind, justify="right")
    for cells in zip(*(each.rows() for each in plans), strict=True):
        label = cells[0][0].split(" (")[0]
        table.add_row(label, *(f"{size / unit:,.2f}" for _, size in cells), style=_weight(label))
    table.add_section()
    fitting = [each.largest_micro_batch(free) for each in plans]
    table.add_row("tokens of a micro batch that fit", *(f"{n:,}" if n else "none" for n in fitting))
    Console().print(table)


@cli.command()
def bench(
    shape: Annotated[
        str, typer.Option(help="embedded or 350m: random weights of it.")
    ] = "embedded",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    rounds: Annotated[int, typer.Option(min=1, help="Medians of so many.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of every system.")] = 1,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Others do the same in turn: transformers in process and served, llama.cpp's"
            " server, and this API over HTTP.",
        ),
    ] = False,
    measure: Annotated[
        list[str] | None, typer.Option(help="Only measures with this in their names.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON, too.")] = None,
) -> None:
    """Measure the engine on this machine, beside the memory's floor and its peers."""
    quiet_libraries()
    from playground.app import served_api
    from playground.bench.report import as_table
    from playground.bench.run import ALL_PEERS
    from playground.bench.run import run as run_bench

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before peers' servers are ended
    report = run_bench(
        shape,
        precision,
        rounds=rounds,
        peers=ALL_PEERS if peers else (),
        serve=served_api if peers else None,
        measures=measure or (),
        threads=threads,
    )
    Console().print(as_table(report))
    if out:
        out.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")


@cli.command()
def models(context: typer.Context, home: Home = None) -> None:
    """The names that --model knows, and what has been downloaded."""
    settings = _settings(context, home=home)
    from playground.models.catalogue import entries
    from playground.models.download import downloaded

    quiet_libraries()
    table = Table(box=box.SIMPLE)
    for column in ("name", "context", "source", "description"):
        table.add_column(column, overflow="fold")
    for entry in entries():
        shipped = "in this package" if Path(entry.source).is_dir() else entry.source
        table.add_row(entry.name, f"{entry.context_length:,}", shipped, entry.description)
    Console().print(table)
    for repository, size in downloaded(settings.home):
        print(f"downloaded: {repository}, {size / 2**30:.2f} GiB")
    print("Any hub id (owner/name) or local folder with safetensors can be given, too.")


@cli.command()
def settings(context: typer.Context) -> None:
    """The settings in force, and where each came from."""
    flags = context.obj
    in_force = load_settings(**flags)
    table = Table(box=box.SIMPLE)
    for column in ("setting", "value", "from", "meaning"):
        table.add_column(column, overflow="fold")
    for name, field in Settings.model_fields.items():
        value = getattr(in_force, name)
        shown = "(set)" if name == "api_key" and value else "" if value is None else str(value)
        table.add_row(name, shown, origin(name, **flags), field.description)
    Console().print(table)


def main() -> None:
    """The entry point: errors of ours are one line; a wrong setting exits with 2, others with 1."""
    try:
        cli()
    except InvalidSettings as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(2) from None
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None


def _settings(context: typer.Context, **own: Any) -> Settings:
    """A command's own flags, over those given before it."""
    given = {name: value for name, value in own.items() if value is not None}
    return load_settings(**{**context.obj, **given})


def _weight(label: str) -> str:
    return "bold" if label == "total" else ""
