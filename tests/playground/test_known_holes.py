"""The known holes of comparable programs: each is tried here, and refused."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import finetune
import playground
from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.errors import ModelLoadError, PlaygroundError, UnknownFile
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import load_settings
from playground.store.uploads import Uploads
from playground.studio.studio import Studio
from tests.playground.api.serving import running

HELLO = [{"role": "user", "content": "Hello!"}]
OUTSIDE = ("../secret", "..%2fsecret", "/etc/passwd", "..\\secret", "a/../../secret", "\x00", "~")
ENDPOINTS = (("chat/completions", {"messages": HELLO}), ("completions", {"prompt": "x"}))
FETCHERS = ("requests", "httpx", "urllib.request", "aiohttp")


@pytest.fixture(scope="module")
def url(backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    (home / "secret").write_text("x")
    services = Services.create(
        backend,
        load_settings({"home": str(home)}),
        studio=Studio(home, backend.loaded, backend),
    )
    with running(create_api(services)) as url:
        yield url


class Harmful:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    folder, ran = tmp_path / "model", tmp_path / "ran"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "mistral"}')
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harmful(ran)))
    with pytest.raises(ModelLoadError):
        load(ModelSpec(str(folder)), home=tmp_path)
    assert not ran.exists()


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_stay_in_their_folder(url: str, name: str) -> None:
    for path in (
        f"/v1/files/{name}/content", f"/v1/exports/{name}", f"/v1/fine_tuning/jobs/{name}",
        f"/v1/adapters/{name}", f"/v1/uploads/{name}/cancel",
    ):  # fmt: skip
        try:
            reply = httpx.get(url + path)
        except httpx.InvalidURL:  # the client does not send it
            continue
        assert reply.status_code in (404, 405, 400), path
        assert reply.text != "x"


@pytest.mark.parametrize("name", OUTSIDE)
def test_uploads_find_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownFile):
        Uploads(tmp_path).find(name)


@pytest.mark.slow
def test_addresses_of_clients_are_not_fetched(url: str) -> None:
    image = {"type": "image_url", "image_url": {"url": f"{url}/health"}}
    body = {"model": "embedded", "messages": [{"role": "user", "content": [image]}]}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_content")
    # Nor is there a module before the users that could: only what downloads models, and what asks
    # the servers that the settings name, without following redirects.
    assert {name for name, imported in imports() if imported in FETCHERS} <= {
        "playground.bench.clients", "playground.bench.peers", "playground.bench.served",
        "playground.models.wheel_model", "playground.models.download",
        "playground.backends.openai_compatible.wire",
    }  # fmt: skip


def test_n_is_bounded(url: str) -> None:
    for path, prompt in ENDPOINTS:
        body = {"model": "embedded", **prompt, "n": 100_000}
        reply = httpx.post(f"{url}/v1/{path}", json=body)
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] in ("n", "prompt")


@pytest.mark.parametrize(
    "tools",
    [
        [None], ["x"], [{}], [{"type": "function"}], [{"type": "function", "function": None}],
        [{"type": "function", "function": {"name": "f", "parameters": {"type": 5}}}],
        [{"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}}],
        [{"type": "function", "function": {"name": "f", "parameters": {"pattern": "(" * 500}}}],
    ],
)  # fmt: skip
@pytest.mark.slow
def test_malformed_tools_are_refused(url: str, tools: list[object]) -> None:
    body = {"model": "embedded", "messages": HELLO, "tools": tools, "max_tokens": 2}
    assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code in (200, 400)
    assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_chat_templates_run_in_a_sandbox(attack: str) -> None:
    from jinja2.exceptions import SecurityError, UndefinedError
    from transformers.utils.chat_template_utils import render_jinja_template

    with pytest.raises((SecurityError, UndefinedError)):
        render_jinja_template([HELLO], chat_template=attack)


def test_prompts_reach_no_internals() -> None:
    from playground.lab.prompt_templates import render_template

    with pytest.raises(PlaygroundError):
        render_template("{{ x.__class__.__mro__ }}", {"x": "y"}, "system")


def test_code_of_a_repository_is_not_imported(tmp_path: Path) -> None:
    folder, ran = tmp_path / "model", tmp_path / "ran"
    folder.mkdir()
    auto = '{"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}'
    (folder / "config.json").write_text(f'{{"model_type": "evil", "auto_map": {auto}}}')
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(ModelLoadError):
        load(ModelSpec(str(folder)), home=tmp_path)
    assert not ran.exists()


def test_no_module_unpacks_archives() -> None:
    assert not [name for name, source in sources() if "extractall" in source]
    assert not [name for name, source in sources() if "unpack_archive" in source]


def test_trust_remote_code_is_nowhere_on() -> None:
    assert not [name for name, source in sources() if "trust_remote_code=True" in source]


def sources() -> Iterator[tuple[str, str]]:
    for package in (playground, finetune):
        root = Path(package.__path__[0])
        for path in root.rglob("*.py"):
            name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            yield name, path.read_text(encoding="utf-8")


def imports() -> Iterator[tuple[str, str]]:
    for name, source in sources():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield name, node.module or ""
