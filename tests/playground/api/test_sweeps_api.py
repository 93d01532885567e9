"""``/v1/sweeps`` over HTTP: from rows to a result, and errors that name the place."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.lab.sweeps.sweeps import Sweeps
from playground.services import Services
from playground.settings import load_settings

BODY: dict[str, Any] = {
    "name": "echo", "models": ["scripted"], "graders": ["exact"],
    "prompts": [{"name": "a"}, {"name": "b", "user": "No {{ input }}"}],
    "rows": [{"input": str(number), "expected": str(number)} for number in range(6)],
}  # fmt: skip


@pytest.fixture
def http(tmp_path: Path, serve: Callable[..., str]) -> Iterator[httpx.Client]:
    backend = ScriptedBackend(lambda request: [request.messages[-1].content])
    with Sweeps(tmp_path, backend, {"short": "len(output) < 2"}) as sweeps:
        settings = load_settings({"home": str(tmp_path)})
        app = create_api(Services.create(backend, settings, sweeps=sweeps))
        with httpx.Client(base_url=f"{serve(app=app)}/v1", timeout=60) as client:
            yield client


def ended(http: httpx.Client, sweep_id: str) -> dict[str, Any]:
    while True:
        body: dict[str, Any] = http.get(f"/sweeps/{sweep_id}").json()
        if body["status"] not in ("queued", "in_progress"):
            return body
        time.sleep(0.02)  # as a client polls


@pytest.mark.slow
def test_sweep_over_http(http: httpx.Client) -> None:
    made = http.post("/sweeps", json=BODY)
    assert made.status_code == 200, made.text
    sweep_id = made.json()["id"]
    body = ended(http, sweep_id)
    assert (body["status"], body["result_counts"]) == ("completed", {"done": 12, "total": 12})
    assert [each["id"] for each in http.get("/sweeps").json()["data"]] == [sweep_id]
    result = http.get(f"/sweeps/{sweep_id}/results").json()
    assert [cell["passed"] for cell in result["cells"]] == [6, 0]
    compared = http.get(f"/sweeps/{sweep_id}/comparison", params={"first": 0, "second": 1}).json()
    assert (compared["better"], compared["test"]) == (6, "McNemar, exact")
    rows = http.get(f"/sweeps/{sweep_id}/training_rows", params={"cell": 1, "most": 2}).text
    assert len(rows.splitlines()) == 2
    assert http.delete(f"/sweeps/{sweep_id}").json()["deleted"] is True
    assert http.get(f"/sweeps/{sweep_id}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "param", "message"),
    [
        ({"rows": [{"expected": "x"}]}, 400, "rows", "row 1 has no 'input'"),
        ({"models": ["nobody"]}, 404, "model", "model 'nobody' is not served here"),
        ({"graders": [{"type": "regex", "pattern": "("}]}, 400, "graders[0].pattern", "compile"),
        ({"graders": [{"type": "python", "expression": "1"}]}, 400, "graders[0].type", "settings"),
        ({"rows": "file-000000000000000000000000"}, 404, None, "no file"),
        ({"rows": "/etc/passwd"}, 400, "rows", "must be a list of objects, or a file's id"),
    ],
)
def test_wrong_sweep_over_http(
    http: httpx.Client, changes: dict[str, Any], status: int, param: str | None, message: str
) -> None:
    reply = http.post("/sweeps", json=BODY | changes)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param)
    assert message in error["message"]


def test_settings_expression_grades_over_http(http: httpx.Client) -> None:
    body = BODY | {"graders": [{"type": "python", "use": "short"}]}
    sweep_id = http.post("/sweeps", json=body).json()["id"]
    ended(http, sweep_id)
    result = http.get(f"/sweeps/{sweep_id}/results").json()
    assert [cell["passed"] for cell in result["cells"]] == [6, 0]
