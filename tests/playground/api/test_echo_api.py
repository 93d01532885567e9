"""``echo`` with ``logprobs``: the prompt's log-probabilities, as OpenAI's legacy API gives them."""

import json
import math
from typing import Any

import httpx
import pytest

IDS = [5, 40, 300, 77, 1200, 9, 30, 31]


def complete(url: str, model: str, **change: Any) -> dict[str, Any]:
    body = {"model": model, "prompt": "The sky is blue.", "echo": True, "temperature": 0}
    reply = httpx.post(f"{url}/v1/completions", json=body | change, timeout=60)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def logprobs_of(reply: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return dict(reply["choices"][index]["logprobs"])


def test_only_the_first_token_has_no_logprob(server_url: str, model: str) -> None:
    logprobs = logprobs_of(complete(server_url, model, logprobs=1, max_tokens=1))
    first, *others = logprobs["token_logprobs"]
    assert first is None
    assert all(logprob <= 0 for logprob in others)
    assert logprobs["top_logprobs"][0] is None


def test_the_lists_are_as_long_as_the_tokens(server_url: str, model: str) -> None:
    reply = complete(server_url, model, logprobs=2, max_tokens=3)
    usage, logprobs = reply["usage"], logprobs_of(reply)
    lists = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    lengths = {len(logprobs[name]) for name in lists}
    assert lengths == {usage["prompt_tokens"] + usage["completion_tokens"]}


def test_tokens_make_up_the_text(server_url: str, model: str) -> None:
    choice = complete(server_url, model, logprobs=1, max_tokens=4)["choices"][0]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    assert choice["text"].startswith("The sky is blue.")


def test_offsets_are_places_in_the_text(server_url: str, model: str) -> None:
    choice = complete(server_url, model, logprobs=1, max_tokens=4)["choices"][0]
    logprobs = choice["logprobs"]
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        assert choice["text"][offset : offset + len(token)] == token


def test_a_prompt_of_token_ids_is_scored(server_url: str, model: str) -> None:
    reply = complete(server_url, model, prompt=IDS, logprobs=1, max_tokens=1)
    assert logprobs_of(reply)["token_ids"][: len(IDS)] == IDS


def test_a_prompt_of_token_ids_is_repeated(server_url: str, model: str) -> None:
    scored = logprobs_of(complete(server_url, model, prompt=IDS, logprobs=0, max_tokens=0))
    plain = complete(server_url, model, prompt=IDS, max_tokens=0)["choices"][0]
    assert plain["text"] == "".join(scored["tokens"])
    assert plain["logprobs"] is None


def test_no_answer_is_made_without_tokens(server_url: str, model: str) -> None:
    reply = complete(server_url, model, logprobs=1, max_tokens=0)
    assert reply["choices"][0]["text"] == "The sky is blue."
    assert reply["usage"]["completion_tokens"] == 0
    assert reply["choices"][0]["finish_reason"] == "length"


def test_one_token_is_a_prompt_too(server_url: str, model: str) -> None:
    logprobs = logprobs_of(complete(server_url, model, prompt=[40], logprobs=1, max_tokens=0))
    assert (logprobs["token_ids"], logprobs["token_logprobs"]) == ([40], [None])


@pytest.mark.slow
def test_scores_are_what_answering_would_give(server_url: str, model: str) -> None:
    """The answer's own log-probabilities come again when the answer is part of the prompt."""
    answer = logprobs_of(complete(server_url, model, prompt=IDS, logprobs=1, max_tokens=6))
    whole = logprobs_of(
        complete(server_url, model, prompt=answer["token_ids"], logprobs=1, max_tokens=0)
    )
    for again, before in zip(
        whole["token_logprobs"][len(IDS) :], answer["token_logprobs"][len(IDS) :], strict=True
    ):
        assert math.isclose(again, before, abs_tol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("length", [255, 256, 257, 700])
def test_a_long_prompt_is_scored_whole(server_url: str, model: str, length: int) -> None:
    ids = [IDS[place % len(IDS)] for place in range(length)]
    short = logprobs_of(complete(server_url, model, prompt=ids[:200], logprobs=1, max_tokens=0))
    long = logprobs_of(complete(server_url, model, prompt=ids, logprobs=1, max_tokens=0))
    assert len(long["token_logprobs"]) == length
    for one, other in zip(short["token_logprobs"][1:], long["token_logprobs"][1:], strict=False):
        assert math.isclose(one, other, abs_tol=1e-3)


@pytest.mark.slow
def test_a_cached_prefix_is_scored_too(server_url: str, model: str) -> None:
    first = logprobs_of(complete(server_url, model, prompt=IDS * 20, logprobs=1, max_tokens=0))
    again = logprobs_of(complete(server_url, model, prompt=IDS * 20, logprobs=1, max_tokens=0))
    assert again == first


def test_several_prompts_and_choices_are_scored(server_url: str, model: str) -> None:
    reply = complete(server_url, model, prompt=[IDS, IDS[:3]], n=2, logprobs=1, max_tokens=0)
    lengths = [len(choice["logprobs"]["tokens"]) for choice in reply["choices"]]
    assert lengths == [8, 8, 3, 3]


def test_a_stream_begins_with_the_scored_prompt(server_url: str, model: str) -> None:
    body = {"model": model, "prompt": "The sky is blue.", "echo": True, "logprobs": 1}
    change = {"stream": True, "max_tokens": 3, "temperature": 0}
    reply = httpx.post(f"{server_url}/v1/completions", json=body | change, timeout=60)
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    choices = [json.loads(line)["choices"][0] for line in lines[:-1]]
    whole = complete(server_url, model, logprobs=1, max_tokens=3)["choices"][0]
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    scored = (choice["logprobs"] for choice in choices if choice["logprobs"])
    offsets = [offset for logprobs in scored for offset in logprobs["text_offset"]]
    assert offsets == whole["logprobs"]["text_offset"]


def test_together_finds_the_prompt_in_its_place(together_client: Any, model: str) -> None:
    reply = together_client.completions.create(
        model=model, prompt="The sky is blue.", echo=True, logprobs=1, max_tokens=2
    )
    assert reply.prompt[0].text == "The sky is blue."
    assert reply.prompt[0].logprobs.token_logprobs[0] is None


def test_lm_eval_reads_a_continuation(server_url: str, model: str) -> None:
    """As lm-evaluation-harness's ``local-completions`` does (lm_eval/models/openai_completions.py):
    the sum over the continuation and whether it is what greedy decoding gives.
    """
    context_length = 4
    reply = complete(server_url, model, prompt=IDS, logprobs=1, max_tokens=1, seed=1234)
    for choice in sorted(reply["choices"], key=lambda choice: choice["index"]):
        tokens = choice["logprobs"]["tokens"][context_length:-1]
        logprobs = choice["logprobs"]["token_logprobs"][context_length:-1]
        tops = choice["logprobs"]["top_logprobs"][context_length:-1]
        assert sum(logprobs) < 0
        assert len(tokens) == len(tops) == len(IDS) - context_length
        assert all(isinstance(max(top, key=top.get), str) for top in tops)
