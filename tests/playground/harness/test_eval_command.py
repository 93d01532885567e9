"""`playground eval` and ``POST /v1/sweeps`` with tasks: one file, one cache, one report card."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.lab.sweeps.sweeps import Sweeps
from playground.services import Services
from playground.settings import load_settings
from playground.store.adapters import AdapterStore
from tests.playground.api.serving import running
from tests.processes import playground

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
WAIT_S = 240


def evaluated(home: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    output = home / "result.json"
    given = ("--home", str(home), "--output", str(output), *arguments)
    done = playground("eval", *given)
    assert done.wait(WAIT_S) == 0, done.output()
    return json.loads(output.read_text()), done.stdout


def test_command_asks_once_and_fills_the_card(
    task_folder: Path, trained_adapter: Path, tmp_path: Path
) -> None:
    version = AdapterStore(tmp_path / "adapters").publish(trained_adapter, "catalogue")
    card = ("--on", "catalogue@v1", "--card")
    asked = ("--tasks", "capital_choice,capital_likelihood", "--include-path", str(task_folder))
    first, printed = evaluated(tmp_path, *asked, *card)
    assert [cell["model"] for cell in first["cells"]] == ["embedded", "embedded:catalogue.v1"]
    assert first["format"] == "playground.sweep/1"
    assert {figure["metric"] for figure in first["figures"]} >= {"acc", "word_perplexity"}
    assert "capital_choice (acc): " in printed
    kept = json.loads((version.folder / "report-card.json").read_text())
    assert [task["metric"] for task in kept["tasks"]][:2] == ["acc", "acc_norm"]
    assert "Public tasks, before and after" in (version.folder / "report-card.html").read_text()
    again, printed = evaluated(tmp_path, *asked, *card)
    assert "0 of them asked now" in printed
    assert again["figures"] == first["figures"]


def test_command_asks_a_running_server(
    playground_url: str, backend: LocalBackend, task_folder: Path, tmp_path: Path
) -> None:
    asked = ("--tasks", "capitals", "--include-path", str(task_folder))
    far, _ = evaluated(tmp_path / "far", *asked, "--url", playground_url)
    near, _ = evaluated(tmp_path / "near", *asked, "--model", "embedded")
    assert [cell["model"] for cell in far["cells"]] == ["server/embedded"]
    values = [[figure["value"] for figure in found["figures"]] for found in (far, near)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_command_says_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    for arguments, message in [
        (("--tasks", "capital_choice", "--include-path", "nowhere"), "nowhere is no folder"),
        (("--tasks", "x", "--card"), "--card takes one adapter"),
    ]:
        done = playground("eval", "--home", str(tmp_path), *arguments)
        assert done.wait(WAIT_S) in (1, 2)
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def http(backend: LocalBackend, task_folder: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with Sweeps(tmp_path, backend, task_folders=[task_folder]) as sweeps:
        settings = load_settings({"home": str(tmp_path)})
        app = create_api(Services.create(backend, settings, sweeps=sweeps))
        with running(app) as url, httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
            yield client


def test_tasks_run_as_a_sweep_of_the_server(http: httpx.Client) -> None:
    made = http.post("/sweeps", json={"tasks": ["capital_choice"], "models": ["embedded"]})
    assert made.status_code == 200, made.text
    sweep = f"/sweeps/{made.json()['id']}"
    while (body := http.get(sweep).json())["status"] in ("queued", "in_progress"):
        assert http.get(f"{sweep}/results").status_code == 200
        time.sleep(0.05)  # as a client polls
    assert (body["status"], body["rows"], body["prompts"]) == ("completed", 8, ["capital_choice"])
    result = http.get(f"{sweep}/results").json()
    scores = [figure["value"] for figure in result["figures"] if figure["metric"] == "acc"]
    of_cell = result["cells"][0]["graders"]["capital_choice acc"]["mean"]
    assert scores == [pytest.approx(of_cell)]
    assert result["answers"][0]["text"] in ("Paris", "Athens")
    refused = http.get(f"{sweep}/training_rows")
    assert (refused.status_code, "not to be trained on" in refused.text) == (400, True)


def test_field_of_no_task_is_named(http: httpx.Client) -> None:
    body = {"tasks": ["capital_choice"], "models": ["embedded"], "limits": 3}
    refused = http.post("/sweeps", json=body)
    assert (refused.status_code, "limits" in refused.text) == (400, True)
