"""Attacks on a server that has people, each with the answer it gets and what gives it.

The table of `docs/security.md` is made of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.playground.access.oidc_senders import (
    answer_of_another,
    answer_twice,
    led_elsewhere,
    somebody_with,
    token_signed,
    token_with,
)
from tests.playground.access.oidc_server import new_key, signed_by, signed_by_secret, unsigned
from tests.playground.access.senders import (
    EVIL,
    Send,
    allowed_origin,
    announced,
    ask,
    brute_force,
    by_link,
    chat,
    content,
    ended_session,
    file_named,
    framed,
    from_page_of,
    header_in_a_name,
    linked_adapter,
    nested_anchors,
    of_ana,
    pickled_adapter,
    post,
    raw_as_ana,
    raw_json,
    redirected,
    schema,
    script_in_a_file,
    sent_elsewhere,
    told_address,
    used_up,
    with_anas,
    zipped,
)
from tests.playground.access.target import HELLO, PASSWORD

METADATA = "http://169.254.169.254/latest/meta-data/"
DEEP = 50_000
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."
SWEEP = {"models": ["embedded"], "prompts": [{"name": "a"}], "rows": [{"input": "a"}]}
ESCAPE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
GATE, PATHS, OWNERS = "playground.api.gate", "playground.access.paths", "playground.store.viewer"
FORMS, ORIGINS, LIMITS = "form of the body", "playground.api.origins", "limits of a request"
NAMES, PEOPLE, GRADIO = "names are matched", "playground.access.people", "Gradio's allowed paths"
FAULTS = "playground.ui.faults"
LINKS, ACCESS = "playground.access.links", "playground.access.access"
TOKEN, SIGN_IN = "playground.access.oidc_provider", "playground.access.oidc"
VISITING = "playground.ui.components.visiting"


@dataclass(frozen=True, slots=True)
class Attack:
    """``status`` is the answer, ``by`` what refuses."""

    name: str
    status: int
    by: str
    send: Send


def attacks() -> Iterator[Attack]:
    """All of them."""
    for name, status, by, send in (
        *IDENTITIES, *PROVIDERS, *LINKED, *PEOPLES_THINGS, *FILES, *REQUESTS, *CODE, *SITES,
    ):  # fmt: skip
        yield Attack(name, status, by, send)


Rows = tuple[tuple[str, int, str, Send], ...]
IDENTITIES: Final[Rows] = (
    ("no key", 401, GATE, ask("", "GET", "/v1/models")),
    ("a made up key", 401, PEOPLE,
     ask("", "GET", "/v1/models", Authorization="Bearer sk-pg-" + "A" * 43)),
    ("an unsigned JWT (`alg: none`)", 401, PEOPLE,
     ask("", "GET", "/v1/models", Authorization=f"Bearer {UNSIGNED}")),
    ("a made up session", 401, PEOPLE,
     lambda target: target.with_cookie("A" * 43, "GET", "/v1/models")),
    ("a session that was signed out", 401, PEOPLE, ended_session),
    ("a session whose time is over", 401, PEOPLE,
     lambda target: target.with_cookie(target.sessions["ended"], "GET", "/v1/models")),
    ("a key that has expired", 401, PEOPLE, ask("late", "GET", "/v1/models")),
    ("a key that was revoked", 401, PEOPLE, ask("revoked", "GET", "/v1/models")),
    ("the key in the query", 401, GATE,
     lambda target: target.ask("", "GET", f"/v1/models?api_key={target.keys['ana']}")),
    ("a password as Basic authorization", 401, GATE,
     ask("", "GET", "/v1/models", Authorization="Basic YWRtaW46Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5")),
    ("passwords tried from a new address each time", 429, PEOPLE, brute_force),
    ("the link of the first start, used again", 409, PEOPLE,
     lambda target: target.ask(
         "", "POST", "/setup", data={"token": "", "name": "eve", "password": "long-enough-1"})),
    ("a key for chat reads files", 403, PATHS, ask("chat", "GET", "/v1/files")),
    ("a trainer reads the accounts", 403, PATHS, ask("ana", "GET", "/v1/admin/users")),
    ("a trainer makes herself administrator", 403, PATHS,
     post("/v1/admin/users/ana", {"role": "admin"})),
    ("a key with more scopes than its account's role", 403, GATE,
     ask("wide", "GET", "/v1/admin/users")),
    ("the same path with doubled slashes", 403, PATHS, ask("ana", "GET", "//v1//admin///users")),
    ("the same path, encoded", 403, PATHS,
     raw_as_ana("GET /%761/admin%2Fusers")),
    ("the same path behind a public one", 403, PATHS,
     raw_as_ana("GET /health/../v1/admin/users")),
    ("another path in `X-Original-URL`, another method", 403, PATHS,
     ask("chat", "GET", "/v1/files",
         **{"X-Original-URL": "/health", "X-HTTP-Method-Override": "PUT"})),
    ("`TRACE`", 401, GATE, lambda target: target.raw("TRACE /v1/models")),
    ("a guest sends an event of the Admin tab", 400, VISITING,
     lambda target: target.event("", "Add account", "eve", "admin", PASSWORD)),
    ("a user does", 400, VISITING,
     lambda target: target.event("uma", "Add account", "eve", "admin", PASSWORD)),
)  # fmt: skip
LINKED: Final[Rows] = (
    ("a made up link", 403, LINKS, by_link("made up")),
    ("a link with a later end", 403, LINKS, by_link("later")),
    ("a link with another one's signature", 403, LINKS, by_link("stolen")),
    ("a link that was revoked", 403, LINKS, by_link("revoked")),
    ("… its events", 403, LINKS, by_link("revoked", "POST", "/gradio_api/queue/join", json={})),
    ("a link whose time is over", 403, LINKS, by_link("expired")),
    ("a link whose answers are used up, by a page that is open", 400, LINKS, used_up),
    ("… opened again", 403, LINKS, by_link("once")),
    (
        "another model than a link's",
        400,
        "playground.access.demo",
        lambda target: target.chat_by_link("other"),
    ),
    ("another tab than a link's", 400, VISITING, lambda target: target.chat_by_link("compare")),
    (
        "an event of the Admin tab by a link",
        400,
        VISITING,
        lambda target: target.event_by_link("chat", "Add account", "eve", "admin", PASSWORD),
    ),
    (
        "the API by a link",
        401,
        ACCESS,
        by_link("chat", "POST", "/v1/chat/completions", json={"model": "embedded"}),
    ),
    ("… with a key that may", 401, ACCESS, by_link("chat", "GET", "/v1/files", who="ana")),
    ("… with a session that may", 401, ACCESS, by_link("chat", "GET", "/v1/files", session="ana")),
    (
        "the page's endpoints for programs by a link",
        401,
        ACCESS,
        by_link("chat", "POST", "/gradio_api/call/respond", json={"data": []}),
    ),
    ("an upload by a link", 403, PATHS, by_link("chat", "POST", "/gradio_api/upload")),
    ("the links by a link", 401, ACCESS, by_link("chat", "GET", "/v1/admin/links")),
    ("a link behind a link", 401, ACCESS, by_link("chat", "GET", "/d/x/")),
    ("a trainer makes a link", 403, PATHS, post("/v1/admin/links", {"models": ["embedded"]})),
    ("a client says where the page is", 400, "playground.api.root", told_address),
)
PROVIDERS: Final[Rows] = (
    ("signing in with a provider: a token of another sign-in (`nonce`)", 403, TOKEN,
     token_with(nonce="of-another-sign-in")),
    ("… for another client (`aud`)", 403, TOKEN, token_with(aud="another-client")),
    ("… for another client, in our name (`azp`)", 403, TOKEN,
     token_with(aud=["another-client"], azp="playground")),
    ("… that has expired", 403, TOKEN, token_with(exp=1_000_000_000)),
    ("… of another provider (`iss`)", 403, TOKEN, token_with(iss=EVIL)),
    ("… signed by nobody (`alg: none`)", 403, TOKEN, token_signed(unsigned)),
    ("… signed with another provider's key of the same name", 403, TOKEN,
     token_signed(signed_by(new_key("first")))),
    ("… signed with the client's secret", 403, TOKEN, token_signed(signed_by_secret)),
    ("… the provider's answer, used again (`state`)", 403, SIGN_IN, answer_twice),
    ("… the answer to somebody else, in this browser", 403, SIGN_IN, answer_of_another),
    ("… an address of a domain that is not allowed", 403, SIGN_IN,
     somebody_with(email="eve@evil.example")),
    ("… an address that nobody has verified", 403, SIGN_IN, somebody_with(email_verified=False)),
    ("… the name of an account that has a password", 403, SIGN_IN,
     somebody_with(preferred_username="admin")),
    ("… and on to another site (`next`)", 403, "no address is taken", led_elsewhere),
)  # fmt: skip
PEOPLES_THINGS: Final[Rows] = (
    ("somebody else's file is read", 404, OWNERS, of_ana("GET", "files", "/content")),
    ("… deleted", 404, OWNERS, of_ana("DELETE", "files")),
    ("… trained on", 404, OWNERS,
     with_anas("/v1/fine_tuning/jobs", "training_file", "files", model="embedded")),
    ("… answered as a batch", 404, OWNERS,
     with_anas("/v1/batches", "input_file_id", "files",
               endpoint="/v1/chat/completions", completion_window="24h")),
    ("somebody else's conversation", 404, OWNERS, of_ana("GET", "conversations", "/items")),
    ("… as the start of a new answer", 404, OWNERS,
     with_anas("/v1/responses", "conversation", "conversations", model="embedded", input="a")),
    ("somebody else's stored answer", 404, OWNERS, of_ana("GET", "chat/completions", "/messages")),
    ("… of the Responses API, continued", 400, OWNERS,
     with_anas("/v1/responses", "previous_response_id", "responses", model="embedded", input="a")),
    ("somebody else's job", 404, OWNERS, of_ana("GET", "fine_tuning/jobs", "/events")),
    ("somebody else's sweep", 404, OWNERS, of_ana("DELETE", "sweeps")),
    ("bytes for a file that somebody announced", 404, "token of the upload", announced),
)  # fmt: skip
FILES: Final[Rows] = (
    ("`../` in a file's id", 404, NAMES, ask("ana", "GET", "/v1/files/..%2F..%2Fsecret/content")),
    ("a path as a training file", 404, NAMES,
     post("/v1/fine_tuning/jobs", {"model": "embedded", "training_file": "/etc/passwd"})),
    ("`../` in the name of an adapter to be trained", 400, NAMES,
     lambda target: target.post("/v1/fine_tuning/jobs", {
         "model": "embedded", "training_file": target.of_ana["files"], "suffix": "../../evil"})),
    ("an adapter outside of its folder", 400, NAMES,
     post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "../../"})),
    ("… by a link", 400, NAMES, linked_adapter),
    ("… by a path with a zero byte", 400, NAMES,
     post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "a\0b"})),
    ("… by a path of 5,000 letters", 400, NAMES,
     post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "a" * 5000})),
    ("pickled weights in an adapter", 400, "safetensors only", pickled_adapter),
    ("a hub's repository to train", 404, "models served here",
     lambda target: target.post("/v1/fine_tuning/jobs", {
         "model": "evil/repository", "training_file": target.of_ana["files"]})),
    ("`/gradio_api/file=/etc/passwd`", 403, GRADIO,
     ask("chat", "GET", "/gradio_api/file=/etc/passwd")),
    ("… of the database", 403, GRADIO,
     lambda target: target.ask("chat", "GET", f"/gradio_api/file={target.home}/playground.db")),
    ("`/static/../../etc/passwd`", 403, GRADIO,
     ask("", "GET", "/static/..%2F..%2F..%2F..%2Fetc%2Fpasswd")),
    ("a path as an uploaded file, on the page", 400, GRADIO,
     lambda target: target.event("ana", "file", file_named("/etc/passwd"))),
    ("a zip file that unpacks to a thousand times its size", 400, "playground.lab.history",
     lambda target: target.send("/v1/conversations/import", "a.zip",
                                zipped("conversations.json", 70 * 2**20))),
    ("`../` in a zip file's names", 400, "read in memory only",
     lambda target: target.send("/v1/conversations/import", "a.zip",
                                zipped("../../conversations.json", 10))),
    ("a line break in a file's name", 400, NAMES, header_in_a_name),
    ("a page with a script, uploaded and opened", 400, "attachment, nosniff", script_in_a_file),
)  # fmt: skip
REQUESTS: Final[Rows] = (
    ("a body of 5 MiB", 413, LIMITS, chat(messages=[{"role": "user", "content": "x" * 5 * 2**20}])),
    ("a form of 2 MiB, without an account", 400, LIMITS,
     lambda target: target.ask("", "POST", "/login", data={"name": "a" * 2 * 2**20})),
    ("a header of 1 MiB", 400, "uvicorn",
     lambda target: target.raw("GET /health", header=f"X: {'a' * 2**20}\r\n")),
    ("JSON of 50,000 levels", 400, FORMS,
     raw_json('{"messages":' + "[" * DEEP + "]" * DEEP + "}")),
    ("half of a surrogate pair", 400, FORMS,
     raw_json('{"model":"embedded","messages":[{"role":"user","content":"\\ud800"}]}')),
    ("NaN as a temperature", 400, FORMS,
     raw_json('{"model":"embedded","messages":[],"temperature":NaN}')),
    ("a billion answers (`n`)", 400, LIMITS, chat(n=10**9)),
    ("a billion tokens", 400, LIMITS, chat(max_tokens=10**9)),
    ("an answer beyond the budget of its key", 429, "playground.access.budgets",
     post("/v1/chat/completions", {"model": "embedded", "messages": HELLO}, "poor")),
    ("100,000 stop strings", 400, LIMITS, chat(stop=["x"] * 100_000)),
    ("1,000 tools", 400, LIMITS,
     chat(tools=[{"type": "function", "function": {"name": f"f{n}"}} for n in range(1000)])),
    ("token ids that there are not", 400, FORMS,
     post("/v1/completions", {"model": "embedded", "prompt": [-1, 10**9]})),
    ("a tool without a name", 400, FORMS, chat(tools=[{"type": "function", "function": {}}])),
    ("a schema of 3,000 levels", 400, FORMS,
     raw_json('{"messages":[],"response_format":' + '{"items":' * 3000 + "{}" + "}" * 3000 + "}")),
    ("a schema with a `$ref` to a file", 400, "playground.structured",
     chat(response_format=schema(**{"$ref": "file:///etc/passwd"}))),
    ("… to an address", 400, "playground.structured",
     chat(response_format=schema(**{"$ref": METADATA}))),
    ("YAML whose anchors unpack to gigabytes", 400, "playground.lab.prompt_files",
     lambda target: target.ask("ana", "POST", "/v1/prompts/import", content=nested_anchors())),
    ("two lengths in one request (smuggling)", 400, "h11",
     lambda target: target.raw("POST /login", body=b"0\r\n\r\n",
                               header="Content-Length: 5\r\nContent-Length: 6\r\n")),
)  # fmt: skip
CODE: Final[Rows] = (
    ("Python in a prompt's template", 400, "playground.lab.prompt_templates",
     post("/v1/prompts", {"name": "evil", "messages": [{"role": "user", "content": ESCAPE}]})),
    ("an endless loop in one", 400, "playground.lab.prompt_templates",
     post("/v1/prompts", {"name": "loop", "messages": [{"role": "user", "content":
         "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"}]})),
    ("Python objects in YAML", 400, "playground.lab.prompt_files",
     lambda target: target.ask("ana", "POST", "/v1/prompts/import",
                               content=b"!!python/object/apply:os.system ['id']")),
    ("Python as a grader", 400, "only the administrator's",
     post("/v1/sweeps", SWEEP | {"graders": [{"type": "python", "expression": "exit()"}]})),
    ("a regular expression of 100,000 letters", 400, "playground.structured.patterns",
     post("/v1/sweeps", SWEEP | {"graders": [{"type": "regex", "pattern": "(a+)+" * 20_000}]})),
    ("an MCP server of the client's", 400, FORMS,
     post("/v1/responses", {"model": "embedded", "input": "a", "tools": [
         {"type": "mcp", "server_label": "x", "server_url": METADATA}]})),
    ("… in Anthropic's API", 400, FORMS,
     post("/v1/messages", {"model": "embedded", "max_tokens": 2, "messages": HELLO, "mcp_servers": [
         {"type": "url", "url": METADATA, "name": "x"}]})),
    ("an image by its address", 400, FORMS,
     chat(messages=content(type="image_url", image_url={"url": METADATA}))),
    ("a file by its address", 400, FORMS,
     post("/v1/responses", {"model": "embedded", "input": [
         {"role": "user", "content": [{"type": "input_file", "file_url": METADATA}]}]})),
    ("a tracker's address in a training job", 400, FORMS,
     lambda target: target.post("/v1/fine-tunes", {
         "model": "embedded", "training_file": target.of_ana["files"],
         "wandb_api_key": "x", "wandb_base_url": METADATA})),
    ("an address as an uploaded file, on the page", 400, FAULTS,
     lambda target: target.event("ana", "file", file_named(f"{target.elsewhere}/internal"))),
    ("… of a public host", 400, FAULTS,
     lambda target: target.event("ana", "file", file_named("http://evil.invalid/a.csv"))),
    ("`/gradio_api/proxy=`", 403, PATHS,
     ask("ana", "GET", f"/gradio_api/proxy={METADATA}")),
    ("a redirect of another server to an internal address", 404, "redirects are not followed",
     redirected),
)  # fmt: skip
SITES: Final[Rows] = (
    ("a page of another site posts with the cookie", 403, ORIGINS,
     from_page_of(EVIL, **{"Sec-Fetch-Site": "cross-site"})),
    ("… over HTTP, where browsers say less", 403, ORIGINS, from_page_of(EVIL)),
    ("… from a sandboxed frame (`Origin: null`)", 403, ORIGINS, from_page_of("null")),
    ("… from another port of this host", 403, ORIGINS,
     from_page_of("http://127.0.0.1:1", **{"Sec-Fetch-Site": "same-site"})),
    ("… an event of the page", 403, ORIGINS, from_page_of(EVIL, "/gradio_api/queue/join")),
    ("a page of another site signs somebody in", 403, ORIGINS,
     lambda target: target.ask("", "POST", "/login", headers={"Origin": EVIL},
                               data={"name": "uma", "password": "x"})),
    ("a page of another site reads answers", 403, "no CORS unless set", allowed_origin),
    ("a page of another site shows this one in a frame", 403, "Content-Security-Policy", framed),
    ("signing in leads to another site", 400, "no address is taken", sent_elsewhere),
    ("a WebSocket", 401, "there are none",
     ask("", "GET", "/gradio_api/queue/join", Connection="Upgrade", Upgrade="websocket",
         **{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"})),
)  # fmt: skip
