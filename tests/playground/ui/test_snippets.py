"""View code: what the page shows in each language is run, and answers what the page answers."""

import asyncio
import io
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import cast

import httpx
import pytest

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.lab.prompts import Prompts
from playground.protocol import (
    Backend,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    StreamEvent,
    Tool,
    ToolCall,
    collect,
)
from playground.services import Services
from playground.settings import Settings
from playground.ui.components.code_panel import LANGUAGES
from playground.ui.components.snippets import snippets
from tests.playground.api.serving import running

HOSTILE = (
    'It\'s "quoted", `id` $HOME $(id) ${x} \\n \\\\ !! %s {{ x }} {% y %}\n\tJSON\nEOF\n'
    "</script><b>é 😀 \u2028 \x01 ''' \"\"\""
)
SAMPLING = Sampling(
    temperature=0.9, top_p=0.8, top_k=40, seed=7, max_tokens=24, stop=("§'\n",), min_tokens=2
)
PLAIN = Request(
    "embedded",
    (Message("system", HOSTILE), Message("user", "Hi"), Message("assistant", HOSTILE),
     Message("user", f"What is 2 + 2? {HOSTILE}")),
    sampling=SAMPLING,
)  # fmt: skip
SCHEMA = Request(
    "embedded",
    (Message("user", HOSTILE),),
    response_format=ResponseFormat(
        {
            "type": "object",
            "properties": {"a'\"$": {"type": ["string", "null"], "maxLength": 5}},
            "required": ["a'\"$"],
            "additionalProperties": False,
        },
        name="answer",
    ),
    sampling=SAMPLING,
)
CALLS = Request(
    "embedded",
    (Message("user", "Price?"), Message("assistant", "", (ToolCall("abcdefghi", "price", "{}"),)),
     Message("tool", HOSTILE, tool_call_id="abcdefghi")),
    tools=(Tool("price", HOSTILE, {"type": "object", "properties": {}}, strict=True),),
    sampling=SAMPLING,
)  # fmt: skip
REQUESTS = {"plain": PLAIN, "schema": SCHEMA, "calls": CALLS}


class Recording:
    """The embedded model; keeps what it is asked."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self.seen: list[Request] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        self.seen.append(request)
        return self._backend.stream(request)


@pytest.fixture(scope="module")
def recording(backend: LocalBackend) -> Recording:
    return Recording(backend)


@pytest.fixture(scope="module")
def url(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Prompts(tmp_path_factory.mktemp("home"))) as prompts:
        services = Services.create(cast("Backend", recording), Settings(), prompts=prompts)
        with running(create_api(services)) as address:
            yield f"{address}/v1"


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the openai package in it, as the snippet's first line says to make it."""
    folder = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm")
    assert npm, "the JavaScript snippets are run with node: install nodejs and npm"
    command = [npm, "install", "--silent", "--no-fund", "--no-audit", "openai@7"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


def output(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said_by_curl(code: str) -> str:
    """What a stream's pieces, or a whole answer, say."""
    text = output("bash", "-c", code)
    if not text.startswith("data:"):
        return shown(json.loads(text)["choices"][0]["message"])
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks)


def shown(message: dict[str, object]) -> str:
    calls = cast("list[dict[str, dict[str, str]]]", message.get("tool_calls") or [])
    lines = [f"{c['function']['name']} {c['function']['arguments']}\n" for c in calls]
    return "".join([*lines, str(message.get("content") or "")])


def said_by_yaml(code: str, url: str) -> str:
    """Import it as a prompt, and use that."""
    with httpx.Client(base_url=url, timeout=60) as client:
        client.delete("/prompts/my-prompt")
        client.post("/prompts/import", content=code.encode()).raise_for_status()
        reply = client.post("/responses", json={"prompt": {"id": "my-prompt"}})
    reply.raise_for_status()
    items = reply.json()["output"]
    texts = [part["text"] for item in items for part in item.get("content") or ()]
    return "".join(texts)


async def expected(backend: LocalBackend, request: Request) -> str:
    answer = await collect(backend.stream(request))
    calls = [f"{call.name} {call.arguments}\n" for call in answer.calls]
    return "".join([*calls, answer.text])


def run(language: str, code: str, url: str, node_folder: Path) -> str:
    if language == "javascript":
        (node_folder / "code.mjs").write_text(code)
        return output("node", "code.mjs", folder=node_folder)
    if language == "curl":
        return said_by_curl(code)
    if language == "yaml":
        return said_by_yaml(code, url)
    printed = io.StringIO()
    with redirect_stdout(printed):  # its imports take a second in a process of its own
        exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "kind"),
    [
        *((language, "plain") for language in LANGUAGES),
        ("python", "schema"),
        ("python", "calls"),
        ("javascript", "calls"),
        ("curl", "schema"),
        ("yaml", "schema"),
    ],
)
async def test_snippet_answers_as_the_page(
    language: str,
    kind: str,
    url: str,
    node_folder: Path,
    recording: Recording,
    backend: LocalBackend,
) -> None:
    request = REQUESTS[kind]
    code = getattr(snippets(request, url), language)
    said = await asyncio.to_thread(run, language, code, url, node_folder)
    asked = recording.seen[-1]
    assert asked.messages == request.messages
    assert asked.tools == request.tools
    assert asked.sampling == request.sampling
    assert said == await expected(backend, request)


def test_yaml_says_what_it_leaves_out() -> None:
    assert "# Left out: calls" in snippets(CALLS, "http://here/v1").yaml
    assert "# Left out" not in snippets(PLAIN, "http://here/v1").yaml


def test_key_is_read_from_environment() -> None:
    code = snippets(PLAIN, "http://here/v1", needs_key=True)
    for text in (code.python, code.together, code.javascript, code.curl):
        assert "PLAYGROUND_API_KEY" in text
    assert "PLAYGROUND_API_KEY" not in snippets(PLAIN, "http://here/v1").python


def test_script_never_ends_in_javascript() -> None:
    assert "</script" not in snippets(PLAIN, "http://here/v1").javascript
