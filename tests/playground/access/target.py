"""The whole playground on a port, as a stranger on the network finds it: people, their keys, what
they keep, and another server behind it that sends one elsewhere.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from playground.access import DemoLinks, People
from playground.access.links import token_of
from playground.store.accounts import Accounts, Budget
from playground.store.links import Links
from tests.playground.access.oidc_server import CLIENT, CLIENT_SECRET, OidcServer, oidc_server
from tests.playground.conftest import killable_playground
from tests.processes import RunningProcess

PASSWORD, SECRET = "correct-horse-battery", "kept-outside-of-every-folder"
HELLO = [{"role": "user", "content": "Hello!"}]
ROWS = b'{"prompt": "a", "completion": "b"}\n'
RAW_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``status`` of an event of the page is 200, or 400 if it failed."""

    status: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A running server. ``keys``, ``sessions`` and ``links`` are by name, ``of_ana`` are ids of
    what Ana made, by kind; ``visited`` collects what other servers were asked for."""

    url: str
    home: Path
    keys: dict[str, str]
    sessions: dict[str, str]
    links: dict[str, str]
    of_ana: dict[str, str]
    visited: list[str]
    elsewhere: str
    provider: OidcServer
    process: RunningProcess
    config: dict[str, Any] = field(default_factory=dict)

    def ask(self, who: str, method: str, path: str, **request: Any) -> Answer:
        """Ask with the key of this name; as nobody if it is empty. ``headers`` are added to it."""
        headers = request.pop("headers", {})
        if who:
            headers = {"Authorization": f"Bearer {self.keys[who]}"} | headers
        with httpx.Client(base_url=self.url, timeout=60) as client:
            reply = client.request(method, path, headers=headers, **request)
        return Answer(reply.status_code, reply.text, dict(reply.headers))

    def post(self, path: str, body: object, who: str = "ana", **headers: str) -> Answer:
        """Post JSON with a key."""
        return self.ask(who, "POST", path, json=body, headers=headers)

    def chat(self, **fields: Any) -> Answer:
        """Ask for a short answer."""
        body = {"model": "embedded", "messages": HELLO, "max_tokens": 2}
        return self.post("/v1/chat/completions", body | fields)

    def send(self, path: str, name: str, content: bytes, **fields: str) -> Answer:
        """Upload a file."""
        return self.ask("ana", "POST", path, files={"file": (name, content)}, data=fields)

    def with_cookie(self, cookie: str, method: str, path: str, **headers: str) -> Answer:
        """Ask with that session's cookie; a POST says hello."""
        body = {"model": "embedded", "messages": HELLO, "max_tokens": 1}
        given = {"Cookie": f"playground_session={cookie}", **headers}
        return self.ask("", method, path, headers=given, json=body if method == "POST" else None)

    def raw(self, start: str, *, body: bytes = b"", header: str = "") -> Answer:
        """Send what no client would: the first line as it stands."""
        address = httpx.URL(self.url)
        head = f"{start} HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n{header}\r\n"
        received = b""
        with socket.create_connection((address.host, address.port or 80), RAW_TIMEOUT_S) as channel:
            try:
                channel.sendall(head.encode("latin-1") + body)
                while part := channel.recv(65536):
                    received += part
            except ConnectionError:  # it reads no further
                received = received or b"HTTP/1.1 400 closed"
        text = received.decode("latin-1")
        return Answer(int(text.split(" ", 2)[1]), text)

    def event(self, who: str, kind: str, *values: object) -> Answer:
        """Send an event of the page: of the button with this text, or whose only input is a
        component of this type."""
        with httpx.Client(base_url=self.url, timeout=60) as browser:
            if who:
                browser.cookies["playground_session"] = self.sessions[who]
            number = _event_of(self._config(browser), kind)
            return _sent(browser, f"session{who}{kind}".replace(" ", ""), number, list(values))

    def by_link(self, name: str, method: str, path: str, **request: Any) -> Answer:
        """Ask by a link; ``who`` adds their key and ``session`` their cookie."""
        who, session = request.pop("who", ""), request.pop("session", "")
        headers = request.pop("headers", {})
        if session:
            headers["Cookie"] = f"playground_session={self.sessions[session]}"
        return self.ask(who, method, f"/d/{self.links[name]}{path}", headers=headers, **request)

    def event_by_link(self, name: str, kind: str, *values: object) -> Answer:
        """Send an event of the page that a link opens."""
        base = f"{self.url}/d/{self.links[name]}"
        with httpx.Client(base_url=base, timeout=60) as browser:
            number = _event_of(self._config(browser), kind)
            return _sent(browser, f"link{name}{kind}".replace(" ", ""), number, list(values))

    def chat_by_link(self, name: str, **changed: object) -> Answer:
        """Send a message on the page that a link opens, with other values of its components."""
        base = f"{self.url}/d/{self.links[name]}"
        with httpx.Client(base_url=base, timeout=60) as browser:
            number, values = _message_of(self._config(browser), {"message": "Hello!"} | changed)
            return _sent(browser, f"chat{name}{changed.get('system', '')}", number, values)

    def _config(self, browser: httpx.Client) -> dict[str, Any]:
        return self.config or self.config.update(browser.get("/config").json()) or self.config


def _sent(browser: httpx.Client, session: str, number: int, values: list[object]) -> Answer:
    body = {"data": values, "fn_index": number, "session_hash": session}
    joined = browser.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return Answer(joined.status_code, joined.text)
    stream = browser.get("/gradio_api/queue/data", params={"session_hash": session}).text
    ended = re.findall(r'^data: (\{"msg": ?"process_completed".*)$', stream, re.MULTILINE)
    done = json.loads(ended[-1])
    return Answer(200 if done["success"] else 400, json.dumps(done["output"]))


def _event_of(config: dict[str, Any], kind: str) -> int:
    components = {component["id"]: component for component in config["components"]}
    buttons = [key for key, item in components.items() if item["props"].get("value") == kind]
    for event in config["dependencies"]:
        types = [components[number]["type"] for number in event["inputs"]]
        if types == [kind] or any(target[0] in buttons for target in event["targets"]):
            return int(event["id"])
    raise AssertionError(f"the page has no event of {kind}")


def _message_of(config: dict[str, Any], changed: dict[str, object]) -> tuple[int, list[object]]:
    """The event that sends a message of the Chat tab, and its values with those changed."""
    components = {component["id"]: component for component in config["components"]}
    (message,) = (
        key for key, each in components.items() if each["props"].get("elem_id") == "message"
    )
    for event in config["dependencies"]:
        if [message, "submit"] in [list(target) for target in event["targets"]]:
            given = [components[number] for number in event["inputs"]]
            return int(event["id"]), [_value_of(each, changed) for each in given]
    raise AssertionError("the page sends no messages")


def _value_of(component: dict[str, Any], changed: dict[str, object]) -> object:
    props = component["props"]
    value = changed.get(props.get("elem_id", ""), props.get("value"))
    return "" if value is None and component["type"] == "textbox" else value


@contextmanager
def elsewhere(visited: list[str]) -> Iterator[str]:
    """A server that sends everybody to an address that nobody should be sent to."""

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/internal"):
                visited.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/internal")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def target(home: Path) -> Iterator[Target]:
    """Start it with people, and with things of Ana's."""
    (home.parent / "secret").write_text(SECRET)
    visited: list[str] = []
    with ExitStack() as stack:
        other = stack.enter_context(elsewhere(visited))
        provider = stack.enter_context(oidc_server())
        people = stack.enter_context(closing(People(Accounts(home))))
        people.ensure_admin(PASSWORD)
        for name, role in (("ana", "trainer"), ("bo", "trainer"), ("uma", "user")):
            people.add_account(name, role, PASSWORD)
        keys = _keys(people)
        sessions = {name: people.sign_in(name, PASSWORD) for name in ("ana", "uma")}
        with closing(People(Accounts(home), session_hours=1e-9)) as past:
            sessions["ended"] = past.sign_in("uma", PASSWORD)
        links = _links(stack.enter_context(closing(DemoLinks(Links(home)))))
        flags = ("--demo", "--run-tools", "--model", "embedded", "--log-format", "json")
        signing_in = (
            "--oidc-issuer", provider.url, "--oidc-client-id", CLIENT, "--oidc-client-secret",
            CLIENT_SECRET, "--oidc-auto-create", "--oidc-email-domain", "ours.example",
        )  # fmt: skip
        url, process = stack.enter_context(
            killable_playground(home, *flags, *signing_in, "--backend", f"evil={other}/v1")
        )
        found = Target(url, home, keys, sessions, links, {}, visited, other, provider, process)
        _make_things(found)
        yield found


def _keys(people: People) -> dict[str, str]:
    scopes = ["chat", "files", "fine-tune"]
    made = {name: people.add_key(name, scopes, account=name) for name in ("ana", "bo")}
    made["chat"] = people.add_key("chat", ["chat"])
    made["poor"] = people.add_key("poor", ["chat"], budget=Budget(usd_per_day=0))
    made["wide"] = people.add_key("wide", ["admin"], account="uma")
    made["late"] = people.add_key("late", scopes, days=1e-9)
    made["revoked"] = people.add_key("revoked", scopes)
    people.revoke_key(made["revoked"].key.id)
    return {name: key.secret for name, key in made.items()}


def _links(links: DemoLinks) -> dict[str, str]:
    made = {name: links.create(["embedded"]) for name in ("chat", "later", "revoked")}
    made["compare"] = links.create(["embedded"], "compare")
    made["expired"] = links.create(["embedded"], days=1e-9)
    made["other"] = links.create(["other"])
    made["once"] = links.create(["embedded"], answers=1)
    links.revoke(made["revoked"].id)
    tokens = {name: token_of(link) for name, link in made.items()}
    identity, end, signature = tokens["later"].split(".")
    tokens["later"] = f"{identity}.{int(end, 16) + 86_400:x}.{signature}"
    tokens["stolen"] = ".".join((made["chat"].id, *tokens["compare"].split(".")[1:]))
    tokens["made up"] = f"{'0' * 12}.{end}.{'A' * 43}"
    return tokens


def _make_things(target: Target) -> None:
    file = json.loads(target.send("/v1/files", "rows.jsonl", ROWS, purpose="fine-tune").text)["id"]
    sweep = {
        "models": ["embedded"],
        "graders": ["exact"],
        "rows": [{"input": "a", "expected": "b"}],
    }
    training = {"model": "embedded", "training_file": file}
    made = {
        "conversations": target.post("/v1/conversations", {}),
        "chat/completions": target.chat(store=True),
        "responses": target.post("/v1/responses", {"model": "embedded", "input": "a"}),
        "sweeps": target.post("/v1/sweeps", sweep | {"prompts": [{"name": "a"}]}),
        "fine_tuning/jobs": target.post("/v1/fine_tuning/jobs", training),
    }
    target.of_ana["files"] = file
    for kind, answer in made.items():
        assert answer.status == 200, answer.text
        target.of_ana[kind] = json.loads(answer.text)["id"]
    target.post(f"/v1/fine_tuning/jobs/{target.of_ana['fine_tuning/jobs']}/cancel", {})
