"""The Evaluate tab's handlers: a form becomes a sweep, whose cells are opened and compared."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.data.rows import read_rows
from playground.backends.scripted import ScriptedBackend
from playground.errors import InvalidRequest
from playground.lab.sweeps.sweeps import Sweeps
from playground.store import Feedback
from playground.ui.sweeps.events import SweepHandlers, SweepUpdate
from playground.ui.sweeps.form import SweepForm, grader_body
from tests.playground.ui.helpers import changed

FORM: SweepForm = {
    "name": "echo", "saved": [], "systems": "Be brief.\n---\nBe long.", "message": "{{ word }}",
    "models": ["scripted"], "temperature": "0", "max_tokens": "8", "seed": "1, 2", "file": None,
    "rows": "word,expected\nyes,yes\nno,yes", "price": 1.0,
}  # fmt: skip


@pytest.fixture
def tab(tmp_path: Path, feedback: Feedback) -> Iterator[SweepHandlers]:
    backend = ScriptedBackend(
        lambda request: [
            request.messages[-1].content * (request.messages[0].content == "Be brief.")
        ]
    )
    with Sweeps(tmp_path, backend) as sweeps:
        yield SweepHandlers(sweeps, feedback)


async def finished(tab: SweepHandlers, **changes: Any) -> str:
    form: Any = {**FORM, **changes}
    started = await tab.start([], **form)
    sweep_id = str(started.sweep.value)
    assert tab.sweeps.wait(sweep_id, 60).state == "done"
    return sweep_id


@pytest.mark.slow
async def test_form_becomes_a_sweep(tab: SweepHandlers) -> None:
    sweep_id = await finished(tab)
    update = tab.refresh("", sweep_id, None, None, None)
    table: Any = changed(update.cells).value
    assert [row[:2] for row in table["data"]] == [
        ["v1 · seed 1", 0.5], ["v1 · seed 2", 0.5], ["v2 · seed 1", 0.0], ["v2 · seed 2", 0.0],
    ]  # fmt: skip
    assert "4 cells × 2 rows" in str(update.head)
    assert "<svg" in str(update.plot)
    assert "McNemar, exact" in str(update.comparison)  # of the second cell with the first
    assert tab.refresh(str(update.seen), sweep_id, 0, 1, 0) == SweepUpdate()


@pytest.mark.slow
async def test_cells_open_and_compare(tab: SweepHandlers) -> None:
    sweep_id = await finished(tab)
    answers: Any = tab.choose_cell(sweep_id, 0).answers
    assert sorted(row[0] for row in answers["data"]) == [1, 2]  # lines 2 and 3 of the CSV
    assert [row[2:5] for row in answers["data"]] == [["yes", "no", 0.0], ["yes", "yes", 1.0]]
    shown = tab.compare(sweep_id, 0, 2).comparison
    assert "McNemar, exact" in shown
    assert "may be chance" in shown
    assert tab.compare(sweep_id, 1, 1).comparison == ""


async def test_worst_rows_are_training_rows(tab: SweepHandlers) -> None:
    made = tab.make_rows(await finished(tab), 0, 20)
    file: Any = made.training.value
    path = Path(file["path"] if isinstance(file, dict) else file.path)
    read = read_rows(path)
    assert (len(read.rows), read.errors) == (1, ())
    assert "1 training row" in made.made


async def test_graders_are_checked_when_added(tab: SweepHandlers) -> None:
    update = tab.add_grader("Contains", "x", [])
    assert changed(update.graders) == [{"type": "contains", "value": "x"}]
    with pytest.raises(InvalidRequest, match="does not compile"):
        tab.add_grader("Regular expression", "(", [])


@pytest.mark.parametrize(
    ("label", "value", "body"),
    [
        ("Number", "1%", {"type": "number", "relative": 0.01}),
        ("JSON field", "a.b = {{ c }}", {"type": "field", "field": "a.b", "value": "{{ c }}"}),
        (
            "JSON schema",
            '{"type": "object"}',
            {"type": "json_schema", "schema": {"type": "object"}},
        ),
        ("Judge: rubric", "Kind?", {"type": "rubric", "rubric": "Kind?"}),
        ("Exact match", "", {"type": "exact"}),
    ],
)
def test_grader_form_makes_graders(label: str, value: str, body: dict[str, object]) -> None:
    assert grader_body(label, value) == body


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"temperature": "0, hot"}, "temperature: 'hot' is not a number"),
        ({"rows": '{"word": }'}, "rows: line 1, column 10: not JSON"),
        ({"message": "{{ town }}"}, "row 1 .line 2. has no 'town'"),
        ({"models": []}, "models: name at least one"),
    ],
)
async def test_wrong_form_starts_nothing(
    tab: SweepHandlers, changes: dict[str, Any], error: str
) -> None:
    form: Any = {**FORM, **changes}
    with pytest.raises(InvalidRequest, match=error):
        await tab.start([], **form)
    assert tab.sweeps.list() == ()


async def test_promptfoo_file_starts_a_sweep(tab: SweepHandlers, tmp_path: Path) -> None:
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(
        "prompts: ['{{ a }}']\nproviders: [scripted]\n"
        "tests: [{vars: {a: b}, assert: [{type: equals, value: b}]}]"
    )
    started = await tab.start_document(str(path))
    assert tab.sweeps.wait(str(started.sweep.value), 60).state == "done"


def test_conversations_become_rows(tab: SweepHandlers) -> None:
    with pytest.raises(InvalidRequest, match="no conversation"):
        tab.use_history()
    tab.sweeps.history = lambda most: [{"messages": [{"role": "user", "content": "Hi"}]}][:most]
    assert tab.use_history().rows == '{"messages": [{"role": "user", "content": "Hi"}]}\n'


def test_rated_answers_become_rows(tab: SweepHandlers) -> None:
    with pytest.raises(InvalidRequest, match="no answer has a thumb up"):
        tab.use_rated()
