"""Ways to send an attack: each returns what sends it to a `Target`, or is that itself."""

import io
import json
import zipfile
from collections.abc import Callable

from tests.playground.access.target import PASSWORD, Answer, Target

EVIL = "http://evil.example"
Send = Callable[[Target], Answer]


def ask(who: str, method: str, path: str, **headers: str) -> Send:
    return lambda target: target.ask(who, method, path, headers=headers)


def post(path: str, body: object, who: str = "ana") -> Send:
    return lambda target: target.post(path, body, who)


def chat(**fields: object) -> Send:
    return lambda target: target.chat(**fields)


def raw_as_ana(start: str) -> Send:
    return lambda target: target.raw(
        start, header=f"Authorization: Bearer {target.keys['ana']}\r\n"
    )


def raw_json(body: str) -> Send:
    kind = {"Content-Type": "application/json"}
    path = "/v1/chat/completions"
    return lambda target: target.ask("ana", "POST", path, content=body.encode(), headers=kind)


def of_ana(method: str, kind: str, path: str = "", **body: object) -> Send:
    def send(target: Target) -> Answer:
        request = {"json": body} if body else {}
        return target.ask("bo", method, f"/v1/{kind}/{target.of_ana[kind]}{path}", **request)

    return send


def with_anas(path: str, field: str, kind: str, **body: object) -> Send:
    """Bo asks for something to be done with what is Ana's."""
    return lambda target: target.post(path, body | {field: target.of_ana[kind]}, "bo")


def from_page_of(origin: str, path: str = "/v1/chat/completions", **headers: str) -> Send:
    """A page of another site asks, and the browser adds the cookie."""

    def send(target: Target) -> Answer:
        cookie = target.sessions["uma"]
        return target.with_cookie(cookie, "POST", path, Origin=origin, **headers)

    return send


def schema(**fields: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": fields}}


def content(**part: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": [part]}]


def file_named(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def zipped(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * size)
    return buffer.getvalue()


def nested_anchors() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 9)}]")
    return "\n".join(lines)


def brute_force(target: Target) -> Answer:
    """From an address of its own each time."""
    for number in range(12):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        form = {"name": "bo", "password": f"guess-{number:04}"}
        answer = target.ask("", "POST", "/login", data=form, headers=headers)
    return answer


def ended_session(target: Target) -> Answer:
    form = {"name": "uma", "password": PASSWORD}
    signed_in = target.ask("", "POST", "/login", data=form).headers["set-cookie"]
    cookie = signed_in.partition("=")[2].partition(";")[0]
    assert target.with_cookie(cookie, "GET", "/v1/models").status == 200
    target.with_cookie(cookie, "POST", "/logout")
    return target.with_cookie(cookie, "GET", "/v1/models")


def header_in_a_name(target: Target) -> Answer:
    """The name of a file comes back in a header."""
    kept = target.send("/v1/files", 'a"\r\nX-Evil: 1\r\n.jsonl', b"{}\n", purpose="fine-tune")
    answer = target.ask("ana", "GET", f"/v1/files/{json.loads(kept.text)['id']}/content")
    return Answer(200 if "x-evil" in answer.headers else 400)


def script_in_a_file(target: Target) -> Answer:
    """A file that a browser would show as a page of this server's."""
    kept = target.send("/v1/files", "a.html", b"<script>1</script>", purpose="fine-tune")
    answer = target.ask("ana", "GET", f"/v1/files/{json.loads(kept.text)['id']}/content")
    is_kept = "attachment" in answer.headers["content-disposition"]
    return Answer(400 if is_kept and answer.headers["x-content-type-options"] == "nosniff" else 200)


def pickled_adapter(target: Target) -> Answer:
    folder = target.home / "adapters" / "evil"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    ran = target.home / "ran"
    (folder / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'touch " + bytes(ran) + b"'\ntR.")
    answer = target.post("/v1/load_lora_adapter", {"lora_name": "evil", "lora_path": "evil"})
    return Answer(200) if ran.exists() else answer


def linked_adapter(target: Target) -> Answer:
    link = target.home / "adapters" / "link"
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(target.home.parent)
    return target.post("/v1/load_lora_adapter", {"lora_name": "link", "lora_path": "link"})


def redirected(target: Target) -> Answer:
    """The other server sends whoever asks it to an internal address."""
    return target.chat(model="evil/any")


def announced(target: Target) -> Answer:
    """Ana announced a file; somebody sends other bytes for it."""
    form = {"purpose": "fine-tune", "file_name": "rows.jsonl"}
    place = target.ask("ana", "POST", "/v1/files", data=form).headers["location"]
    path = place.partition("/v1/")[2].partition("?")[0]
    return target.ask("", "PUT", f"/v1/{path}?token=guessed", content=b"{}\n")


def allowed_origin(target: Target) -> Answer:
    """Whether a page of another site may read the answer."""
    answer = target.ask("ana", "GET", "/v1/models", headers={"Origin": EVIL})
    return Answer(200 if "access-control-allow-origin" in answer.headers else 403)


def framed(target: Target) -> Answer:
    """Whether a page of another site may show this one in a frame and lead clicks to it."""
    policy = target.ask("", "GET", "/login").headers["content-security-policy"]
    return Answer(403 if "frame-ancestors 'self'" in policy else 200)


def sent_elsewhere(target: Target) -> Answer:
    """Where signing in leads to."""
    form = {"name": "uma", "password": "wrong-password"}
    answer = target.ask("", "POST", "/login?next=//evil.example", data=form)
    return Answer(200 if EVIL in str(answer.headers) else answer.status)


def by_link(name: str, method: str = "GET", path: str = "/", **request: object) -> Send:
    return lambda target: target.by_link(name, method, path, **request)


def used_up(target: Target) -> Answer:
    """The one answer of a link is taken; then another is asked for by the page that is open."""
    first, second = (target.chat_by_link("once", system=text) for text in ("A", "B"))
    return second if first.status == 200 else Answer(200, first.text)


def told_address(target: Target) -> Answer:
    """Whether a client says what address the page is at."""
    told = {"X-Gradio-Server": EVIL, "X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "evil"}
    answer = target.by_link("chat", "GET", "/config", headers=told)
    return Answer(200 if "evil" in json.loads(answer.text)["root"] else 400)
