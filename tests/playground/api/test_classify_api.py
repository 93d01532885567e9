"""``/v1/classify``: probabilities of labels; ``/v1/embeddings``: why there are none."""

import math
from typing import Any

import httpx
import openai
import pytest

from playground.backends.local import LocalBackend
from playground.lab.classify import classify, normalised
from playground.protocol import Message, Request, Sampling, collect

LABELS = ["yes", "no", "yes, but only on Mondays and never in winter"]


def asked(url: str, **fields: Any) -> httpx.Response:
    body = {"model": "embedded", "labels": LABELS, "input": "Is it open?"} | fields
    return httpx.post(f"{url}/v1/classify", json=body, timeout=60)


@pytest.mark.slow
def test_probabilities_add_up_to_one(server_url: str) -> None:
    reply = asked(server_url, input=["Is it open?", "Are you there?"]).json()
    assert [each["index"] for each in reply["data"]] == [0, 1]
    for each in reply["data"]:
        assert sum(each["probs"]) == pytest.approx(1)
        assert each["label"] == each["labels"][0] == LABELS[each["probs"].index(max(each["probs"]))]
        assert each["scores"] == sorted(each["probs"], reverse=True)


@pytest.mark.slow
async def test_score_is_the_answers_probability(backend: LocalBackend) -> None:
    request = Request("embedded", (Message("user", "What is your name?"),))
    sampling = Sampling(temperature=0.0, logprobs=0, max_tokens=60)
    answer = await collect(backend.stream(Request("embedded", request.messages, sampling=sampling)))
    assert answer.finish_reason == "stop"
    written = sum(token.logprob for token in answer.logprobs)
    found = await classify(backend, request, [answer.text, "A teapot."])
    best = found.scores[0]
    assert best.tokens == answer.usage.completion_tokens + 1  # the end is scored, too
    assert written - 1 < best.logprob <= written + 1e-3
    assert found.best == best
    assert best.probability > 0.99


@pytest.mark.slow
async def test_label_that_begins_another_is_not_preferred(backend: LocalBackend) -> None:
    request = Request("embedded", (Message("user", "What is your name?"),))
    sampling = Sampling(temperature=0.0, max_tokens=60)
    answer = await collect(backend.stream(Request("embedded", request.messages, sampling=sampling)))
    beginning = answer.text.split()[0]
    found = await classify(backend, request, [beginning, answer.text])
    assert found.best.label == answer.text


def test_impossible_labels_are_alike() -> None:
    assert normalised([-math.inf, -math.inf]) == [0.5, 0.5]
    assert normalised([-1000.0, -1000.0 + math.log(3)]) == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"labels": ["one"]}, "labels"),
        ({"labels": ["a", " "]}, "labels[1]"),
        ({"labels": ["a", "b", "a"]}, "labels[2]"),
        ({"labels": [str(n) for n in range(129)]}, "labels"),
        ({"input": None}, "input"),
        ({"messages": [{"role": "user", "content": "?"}]}, "input"),
        ({"input": []}, "input"),
        ({"model": "nobody"}, "model"),
        ({"top_k": 1}, "top_k"),
    ],
)
def test_wrong_classification_names_the_field(
    server_url: str, fields: dict[str, Any], param: str
) -> None:
    reply = asked(server_url, **fields)
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["param"] == param


def test_conversation_can_be_classified(server_url: str) -> None:
    messages = [{"role": "user", "content": "Is it open?"}]
    (result,) = asked(server_url, input=None, messages=messages).json()["data"]
    assert result["num_classes"] == 3


def test_embeddings_refused_with_advice(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="vllm serve") as caught:
        client.embeddings.create(model="embedded", input="Hello")
    assert caught.value.code == "embeddings_not_supported"
