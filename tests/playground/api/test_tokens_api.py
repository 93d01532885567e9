"""``POST /v1/tokens/…`` over the embedded model."""

from typing import Any

import httpx
import pytest

HELLO = [{"role": "user", "content": "Hello!"}]
TALK = [*HELLO, {"role": "assistant", "content": "Hello there."}]


def post(url: str, path: str, **body: Any) -> Any:
    reply = httpx.post(f"{url}/v1/tokens/{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_prompt_is_counted_by_part(server_url: str) -> None:
    shown = post(server_url, "prompt", messages=HELLO, max_tokens=10**6)
    assert {part["name"] for part in shown["parts"]} == {"user", "template"}
    assert sum(part["tokens"] for part in shown["parts"]) == shown["count"]
    assert next(each["text"] for each in shown["tokens"] if each["control"]) == "<s>"
    assert shown["room"] == shown["max_model_len"] - shown["count"]
    assert f"cut after {shown['room']:,} tokens" in shown["cut"]


def test_answer_is_scored_and_forked(server_url: str) -> None:
    scored = post(server_url, "score", messages=TALK, top_logprobs=4)
    first = scored["tokens"][0]
    assert (first["token"], len(first["top_logprobs"])) == ("Hello", 4)
    other = first["top_logprobs"][1]
    forked = post(
        server_url,
        "fork",
        messages=TALK,
        position=0,
        token_id=other["token_id"],
        temperature=0,
        max_tokens=8,
    )
    assert forked["message"]["content"].startswith(other["token"])
    assert forked["usage"]["completion_tokens"] > 0


def test_text_has_a_perplexity(server_url: str) -> None:
    scored = post(server_url, "score", text="Hello! How are you?")
    assert scored["perplexity"] > 1
    assert scored["tokens"][0]["logprob"] is None
    assert all(each["logprob"] < 0 for each in scored["tokens"][1:])


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("score", {}, "text"),
        ("score", {"text": "a", "messages": TALK}, "text"),
        ("score", {"text": " "}, "text"),
        ("score", {"messages": HELLO}, "messages"),
        ("score", {"text": "a", "model": "gpt-4"}, "model"),
        ("fork", {"messages": TALK, "position": 99, "token_id": 5}, "position"),
        ("fork", {"messages": TALK, "position": 0, "token_id": 10**9}, "tokens"),
    ],
)
def test_bad_body_names_its_field(server_url: str, path: str, body: Any, param: str) -> None:
    reply = httpx.post(f"{server_url}/v1/tokens/{path}", json=body)
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["param"] == param
