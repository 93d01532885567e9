"""The start of the server: page and API answer before the model is there."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
from safetensors.numpy import save_file

from playground.models.catalogue import EMBEDDED_FOLDER
from tests.processes import playground

COMMAND = (sys.executable, "-c", "from playground.cli import main; main()")
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "opentelemetry.sdk")
HELLO = {"messages": [{"role": "user", "content": "What is the capital of Japan?"}]}


@contextmanager
def started(home: Path, *flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The playground in a process of its own, as soon as it says where it listens."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--home", str(home), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        try:
            yield found.group(), process
        finally:
            process.terminate()


@pytest.mark.slow
def test_page_and_api_import_no_torch() -> None:
    code = (
        "import sys, playground.ui.page, playground.api.app, playground.services\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.slow
def test_server_answers_before_model_is_there(tmp_path: Path) -> None:
    with started(tmp_path) as (url, _), httpx.Client(base_url=url, timeout=60) as http:
        call = {"data": ["What is the capital of Japan?", "", ""]}
        asked_early = http.post("/gradio_api/call/chat", json=call).json()["event_id"]
        health = http.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "loading")
        assert health.headers["retry-after"]
        refused = http.post("/v1/chat/completions", json=HELLO | {"model": "embedded"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.json()["error"]["code"] == "model_loading"
        assert "gradio_config" in http.get("/").text
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=20) as client:
            name = client.models.list().data[0].id  # its client waits as it is told
            reply = client.chat.completions.create(model=name, **HELLO)
        assert "Tokyo" in (reply.choices[0].message.content or "")
        assert http.get("/health").json()["status"] == "ok"
        stream = http.get(f"/gradio_api/call/chat/{asked_early}").text  # the page has waited, too
        assert "Tokyo" in stream.rpartition("event: complete")[2]


@pytest.mark.slow
def test_broken_model_ends_the_server(tmp_path: Path) -> None:
    model = tmp_path / "broken"
    model.mkdir()
    for file in ("config.json", "tekken.json"):
        (model / file).symlink_to(EMBEDDED_FOLDER / file)
    save_file({}, model / "model.safetensors")
    process = playground("--port", "0", "--home", str(tmp_path / "home"), "--model", str(model))
    assert process.wait(120) == 1
    lines = process.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {model}")


@pytest.mark.slow
def test_sigterm_ends_a_loading_server(tmp_path: Path) -> None:
    with started(tmp_path) as (url, process):
        assert httpx.get(f"{url}/health", timeout=60).status_code == 503
        asked = time.monotonic()
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "", json.dumps(time.monotonic() - asked)
