"""Templates: what people and models wrote is never markup."""

from contextlib import suppress

import pytest
from jinja2 import UndefinedError

from playground.lab.tally import tally
from playground.store.feedback import Contender, CountedVote
from playground.structured.field_marks import FieldMark
from playground.ui.compare.views import label_html, question_html, score_html
from playground.ui.components.markup import TEMPLATES, render
from playground.ui.components.status import meter, note, note_line, verdict
from playground.ui.finetune.curves import run_curves
from playground.ui.json.views import batch_progress, fields_table, table_of

EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "html",
    [
        note(EVIL),
        verdict(EVIL, good=False),
        note_line(EVIL),
        label_html("A", EVIL),
        question_html(EVIL),
        score_html(
            tally([CountedVote((Contender(EVIL, EVIL), Contender("b")), 0)]),
            {"votes": 1, "edits": 0, "thumbs": 0},
        ),
        fields_table([FieldMark(EVIL, EVIL, EVIL, EVIL)]),
    ],
)
def test_markup_in_texts_is_escaped(html: str) -> None:
    assert "<img" not in html
    assert "&lt;img" in html


def test_every_template_compiles() -> None:
    names = [str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")]
    assert len(names) > 15
    for name in names:
        with suppress(UndefinedError):  # it compiles, and misses its values
            render(name)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("verdict.html", good=True)


def test_the_context_meter_warns_before_it_is_full() -> None:
    assert "meter calm" in meter(10, 100)
    assert "filling up" in meter(80, 100)
    assert "almost full" in meter(96, 100)
    assert 'style="width:100.0%"' in meter(120, 100)
    assert "meter" not in meter(None, 100)


def test_fields_carry_their_rules_and_marks() -> None:
    html = fields_table([FieldMark("$.a", "é", "string"), FieldMark("$.b", 3, "", "too large")])
    assert '<tr class="good"><td><code>$.a</code></td><td>é</td><td>string</td>' in html
    assert '<tr class="bad">' in html
    assert "too large" in html
    assert fields_table([]) == ""


def test_a_table_shows_the_first_list_of_objects() -> None:
    value = {"id": 1, "items": [{"name": "lamp", "n": 3}, {"name": "pen"}]}
    assert table_of(value) == {"headers": ["name", "n"], "data": [["lamp", "3"], ["pen", ""]]}
    assert table_of({"a": "x"}) == {"headers": ["a"], "data": [["x"]]}
    assert table_of(3) is None


def test_progress_counts_failures() -> None:
    html = batch_progress(1_500, 3_000, 2)
    assert 'style="width:50.0%"' in html
    assert "1,500 of 3,000 texts · 2 failed" in html
    assert "failed" not in batch_progress(0, 0, 0)


def test_curves_are_drawn_over_steps() -> None:
    log = [{"step": n, "loss": 3.0 - n, "learning_rate": 1e-3} for n in (1, 2)]
    html = run_curves([*log, {"step": 2, "loss": 9.0, "done": 1}], 4)
    assert html.count("<polyline") == 2
    assert '<polyline class="loss"' in html
    assert html.count("<circle") == 4
    assert "loss 1</span>" in html  # the summary at the end of a log is no point


def test_a_chart_without_points_says_so() -> None:
    assert run_curves([], 10).count("starts with the first step") == 2


def test_long_curves_are_thinned() -> None:
    log = [{"step": n, "loss": 1.0} for n in range(10_000)]
    assert run_curves(log, 10_000).count(",") < 1_000
