"""`playground sweep`: the same file as the server's, resumed after a kill."""

import json
from pathlib import Path
from typing import Any

import pytest

from playground.backends.local import LocalBackend
from playground.lab.sweeps.sweeps import Sweeps
from playground.protocol.json_types import JsonObject
from tests.processes import playground

WAIT_S = 120
ROWS = 60
TIMES = ("ms", "first_token_ms", "ms_median", "first_token_ms_median")


def body(rows: int) -> JsonObject:
    countries = [("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo")] * rows
    return {
        "name": "capitals",
        "models": ["embedded"],
        "prompts": ["What is the capital of {{ country }}?"],
        "settings": {"max_tokens": [16, 24]},
        "rows": [{"country": c, "expected": e} for c, e in countries[:rows]],
        "graders": ["contains", {"type": "similarity"}],
    }


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
async def test_command_gives_the_servers_file(tmp_path: Path, backend: LocalBackend) -> None:
    file, output = tmp_path / "sweep.json", tmp_path / "out.json"
    file.write_text(json.dumps(body(3)))
    home = ("--home", str(tmp_path / "home"), "--output", str(output))
    done = playground("sweep", str(file), *home)
    assert done.wait(WAIT_S) == 0, done.stderr
    with Sweeps(tmp_path / "server", backend) as sweeps:
        started = await sweeps.start(sweeps.read(body(3)))
        assert sweeps.wait(started.id, 60).state == "done"
        path = sweeps.result_file(started.id)
    assert path is not None
    assert timeless(json.loads(output.read_text())) == timeless(json.loads(path.read_text()))


@pytest.mark.slow
def test_killed_command_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(body(ROWS)))
    answers = tmp_path / ".sweep.result.json.answers.jsonl"
    command = ("sweep", str(file), "--home", str(tmp_path / "home"))
    process = playground(*command)
    while not answers.exists() or len(answers.read_bytes().splitlines()) < 10:
        assert process.wait(0.01) is None, process.stderr
    process.kill()
    kept = {(a["cell"], a["row"]): a for a in map(json.loads, _whole_lines(answers)[1:])}
    again = playground(*command)
    assert again.wait(WAIT_S) == 0, again.stderr
    result = json.loads((tmp_path / "sweep.result.json").read_text())
    of_result = {(a["cell"], a["row"]): a for a in result["answers"]}
    assert len(of_result) == 2 * ROWS
    assert 0 < len(kept) < 2 * ROWS
    assert all(of_result[key]["ms"] == answer["ms"] for key, answer in kept.items())
    assert not answers.exists()


def _whole_lines(path: Path) -> list[str]:
    content = path.read_text()
    return content[: content.rfind("\n") + 1].splitlines()


@pytest.mark.slow
def test_command_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("country,expected\nFrance\n")
    file = tmp_path / "sweep.yaml"
    file.write_text("prompts: ['{{ country }}']\nrows: rows.csv\ngraders: [exact]\n")
    done = playground("sweep", str(file), "--home", str(tmp_path / "home"))
    assert done.wait(WAIT_S) == 1
    assert done.stderr.splitlines()[-1] == "error: rows: line 2, column 2: 1 cells under 2 headings"
