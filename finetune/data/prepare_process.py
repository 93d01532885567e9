"""Prepares a data set in a process of its own, which prints how many rows are done."""

import os
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from finetune.child_process import read_work, run_child
from finetune.data.storage import SourceFile, write_dataset
from finetune.data.workers import num_workers, prepare_in_processes
from playground.models.tokenizer import ChatTokenizer

MODULE = "finetune.data.prepare_process"


@dataclass(frozen=True, slots=True)
class PrepareWork:
    """What `finetune.data.storage.write_dataset` takes, and how nice its process is to others."""

    folder: Path
    paths: Sequence[Path]
    files: Sequence[SourceFile]
    columns: Mapping[str, str]
    niceness: int


def write_in_process(
    work: PrepareWork,
    tokenizer: ChatTokenizer,
    on_rows: Callable[[int], None] | None,
    stop_event: threading.Event | None,
) -> None:
    """Write a data set in a child process. Raises what `run_child` raises."""

    def on_line(line: bytes) -> None:
        if on_rows:
            on_rows(int(line))

    # As bytes, because only the workers load it, which takes a second.
    sent = work, pickle.dumps(tokenizer)
    run_child(MODULE, sent, work.folder / ".log", on_line, stop_event)


def main() -> None:
    """Write the data set that standard input describes."""
    work, tokenizer = cast(tuple[PrepareWork, bytes], read_work())
    os.nice(work.niceness)
    workers = num_workers()
    write_dataset(
        work.folder,
        work.paths,
        work.files,
        lambda batches: prepare_in_processes(batches, tokenizer, work.columns, workers),
        lambda rows: print(rows, flush=True),
    )


if __name__ == "__main__":
    main()
