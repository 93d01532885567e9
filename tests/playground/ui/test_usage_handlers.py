"""The Usage tab without a browser: what it shows, by which names, and the line under an answer."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from playground.lab.usage import UsageMeter
from playground.protocol import Answer, Timings, Usage
from playground.settings import UsageSettings
from playground.store.conversation_types import NewConversation
from playground.store.conversations import Conversations
from playground.store.usage import AnswerUsage, UsageStore
from playground.ui.components.status import answer_note, usd
from playground.ui.usage.events import UsageHandlers

ANSWER = AnswerUsage(
    ended=time.time(), model="<b>small", prompt_tokens=1_000_000, completion_tokens=0, running_s=10
)


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[UsageMeter]:
    settings = UsageSettings(gpu_usd_per_hour=3.6)
    with closing(UsageMeter(UsageStore(tmp_path), settings)) as meter:
        yield meter


def test_the_tab_names_conversations(meter: UsageMeter, conversations: Conversations) -> None:
    kept = conversations.add(NewConversation(title="Tax & <i>travel</i>"))
    meter.add(replace(ANSWER, conversation=kept.summary.id))
    shown = UsageHandlers(meter, None, conversations).show(7, ["conversation", "model"]).report
    assert "Tax &amp; &lt;i&gt;travel&lt;/i&gt;" in shown
    assert "&lt;b&gt;small" in shown
    assert "$0.30</td>" in shown
    assert "100,000 tokens/s" in shown
    assert "$0.010 per million tokens" in shown


def test_a_period_without_answers_says_so(meter: UsageMeter) -> None:
    meter.add(replace(ANSWER, ended=time.time() - 9 * 86_400))
    tab = UsageHandlers(meter)
    assert "No answers in this period." in tab.show(1, ["day"]).report
    assert "1 answer " in tab.show(0, []).report


def test_an_answer_says_what_it_cost() -> None:
    answer = Answer("Hi", "stop", Usage(30, 3), Timings(0, 0.5, 1.0), cost_usd=0.0000114)
    assert answer_note(answer) == "3 tokens · 4.0 tokens/s · first token after 500 ms · $0.000011"
    assert [usd(each) for each in (0, 0.012345, 1234.5)] == ["$0.00", "$0.012", "$1,234.50"]
