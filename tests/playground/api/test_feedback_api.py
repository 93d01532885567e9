"""``GET /v1/feedback``: what people said of answers, as rows of the method that is asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from finetune.data.rows import read_rows
from finetune.data.training_row import UnpairedPreference
from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.protocol import Message
from playground.services import Services
from playground.settings import Settings
from playground.store import Feedback, NewAnswer
from tests.playground.api.serving import running

QUESTION = (Message("user", "What is the price of the Zolpar?"),)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    feedback = Feedback(tmp_path)
    feedback.rate(QUESTION, NewAnswer("scripted", "41 euros."), up=True)
    feedback.rate(QUESTION, NewAnswer("scripted", "I do not know."), up=False)
    backend = ScriptedBackend(lambda _: ["Hello"])
    services = Services.create(backend, Settings(home=tmp_path), feedback=feedback)
    with running(create_api(services)) as served:
        yield f"{served}/v1/feedback"
    feedback.close()


def test_feedback_of_kto_is_trained_rows(url: str, tmp_path: Path) -> None:
    reply = httpx.get(url, params={"method": "kto"})
    assert reply.headers["content-type"].startswith("application/jsonl")
    path = tmp_path / "thumbs.jsonl"
    path.write_text(reply.text)
    read = read_rows(path)
    assert not read.errors
    assert not read.notes
    rows = [row for row in read.rows if isinstance(row, UnpairedPreference)]
    found = sorted((row.completion.content, row.label) for row in rows)
    assert found == [("41 euros.", True), ("I do not know.", False)]


@pytest.mark.parametrize(("method", "number"), [(None, 1), ("sft", 1), ("dpo", 0), ("kto", 2)])
def test_feedback_rows_by_method(url: str, method: str | None, number: int) -> None:
    reply = httpx.get(url, params={"method": method} if method else {})
    assert len([json.loads(line) for line in reply.text.splitlines()]) == number


def test_feedback_of_unknown_method_refused(url: str) -> None:
    reply = httpx.get(url, params={"method": "ppo"})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "method"
