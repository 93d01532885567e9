"""Processes that prepare give what one process gives, and end when they are told to."""

import json
import threading
import time
from pathlib import Path

import pytest

from finetune.data import dataset
from finetune.data.dataset import PrepareHooks, PreparingStopped, prepare
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)


def write_rows(path: Path, number: int) -> Path:
    rows = [{"prompt": f"Where is crate {n % 3000}?", "completion": f"Dock {n}."} for n in
            range(number)]  # fmt: skip
    lines = [json.dumps(row) for row in rows]
    lines[5] = "{broken"
    lines[2500] = json.dumps({"prompt": "Gate?", "completion": "Four", "note": 1})
    path.write_text("\n".join(lines))
    return path


@pytest.mark.slow
def test_prepare_is_same_in_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 4000)
    here = prepare([file], TOKENIZER, tmp_path / "here")
    monkeypatch.setattr(dataset, "PROCESS_BYTES", 1)
    done: list[int] = []
    apart = prepare([file], TOKENIZER, tmp_path / "apart", hooks=PrepareHooks(done.append))
    assert apart.manifest == here.manifest
    assert apart.summaries() == here.summaries()
    assert done[-1] == 3999


@pytest.mark.slow
def test_prepare_stops_within_moments(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 60_000)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    start = time.monotonic()
    with pytest.raises(PreparingStopped):
        prepare([file], TOKENIZER, tmp_path, hooks=PrepareHooks(stop_event=stop))
    assert time.monotonic() - start < 3
    assert not any((tmp_path / "datasets").glob("[!.]*"))
