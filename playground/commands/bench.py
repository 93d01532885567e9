"""`playground bench`: the engine's speed on this machine."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from playground.files import write_atomic
from playground.runtime import quiet_libraries


def bench(
    shape: Annotated[
        str, typer.Option(help="embedded or 350m: a model of that shape with random weights.")
    ] = "embedded",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to take the median of.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of every system.")] = 1,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Measure others in turn, too: transformers in process and served, llama.cpp's"
            " server, and this API over HTTP.",
        ),
    ] = False,
    measure: Annotated[
        list[str] | None, typer.Option(help="Only measures with this in their names.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON, too.")] = None,
) -> None:
    """Measure the engine, beside the limit that memory bandwidth sets, and beside its peers."""
    quiet_libraries()
    from playground.bench.report import as_table
    from playground.bench.run import ALL_PEERS
    from playground.bench.run import run as run_bench
    from playground.server import served_api

    # Exit by an exception, so that the peers' servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
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
        write_atomic(out, json.dumps(report.as_json(), indent=1))
