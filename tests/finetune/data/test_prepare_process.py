"""Processes that prepare give what one process gives, and end when they are told to."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from finetune import check
from finetune.child_process import WorkStopped
from finetune.data import dataset
from finetune.data.dataset import PrepareHooks, prepare
from finetune.recipe import embedded_cpu
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.tokenizer import ChatTokenizer
from tests.playground.models.template_folder import write_template_tokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
COUNT = """
import sys
from pathlib import Path
from finetune.data.dataset import Dataset
from finetune.recipe import embedded_cpu
from finetune.report import count_rows

dataset = Dataset(Path(sys.argv[1]), Path(sys.argv[2]))
print(count_rows(dataset, dataset.summaries(), (), embedded_cpu()).rows, "torch" in sys.modules)
"""


def write_rows(path: Path, number: int) -> Path:
    rows = [{"prompt": f"Where is crate {n % 3000}?", "completion": f"Dock {n}."} for n in
            range(number)]  # fmt: skip
    lines = [json.dumps(row) for row in rows]
    lines[5] = "{broken"
    lines[2500] = json.dumps({"prompt": "Gate?", "completion": "Four", "note": 1})
    path.write_text("\n".join(lines))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("is_mistral", [True, False])
def test_prepare_is_same_in_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_mistral: bool
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 4000)
    tokenizer: ChatTokenizer = TOKENIZER
    if not is_mistral:
        tokenizer = write_template_tokenizer(tmp_path, TEMPLATE)
    here = prepare([file], tokenizer, tmp_path / "here")
    monkeypatch.setattr(dataset, "PROCESS_BYTES", 1)
    done: list[int] = []
    apart = prepare([file], tokenizer, tmp_path / "apart", hooks=PrepareHooks(done.append))
    assert apart.manifest == here.manifest
    assert apart.summaries() == here.summaries()
    assert done[-1] == 3999


@pytest.mark.slow
def test_check_is_same_in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = prepare([write_rows(tmp_path / "rows.jsonl", 3000)], TOKENIZER, tmp_path)
    recipe = replace(embedded_cpu(), eval_fraction=0.1)
    here = check.check_rows(rows, recipe)
    assert (here.rows, here.left_out.rows) == (3000, 1)
    monkeypatch.setattr(check, "PROCESS_ROWS", 1)
    apart = check.check_rows(rows, recipe)
    assert replace(apart.report, seconds=0) == replace(here.report, seconds=0)
    assert replace(apart, report=here.report) == here
    stop = threading.Event()
    stop.set()
    with pytest.raises(WorkStopped):
        check.check_rows(rows, recipe, stop)


@pytest.mark.slow
def test_rows_are_counted_without_torch(tmp_path: Path) -> None:
    rows = prepare([write_rows(tmp_path / "rows.jsonl", 3000)], TOKENIZER, tmp_path)
    counting = [sys.executable, "-c", COUNT, str(rows.folder), str(rows.home)]
    counted = subprocess.run(counting, check=True, capture_output=True, text=True)
    assert counted.stdout.split() == ["2999", "False"]


@pytest.mark.slow
def test_prepare_stops_within_moments(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 60_000)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    start = time.monotonic()
    with pytest.raises(WorkStopped):
        prepare([file], TOKENIZER, tmp_path, hooks=PrepareHooks(stop_event=stop))
    assert time.monotonic() - start < 3
    assert not any((tmp_path / "datasets").glob("[!.]*"))
