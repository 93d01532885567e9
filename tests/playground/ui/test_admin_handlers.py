"""The Admin tab's handlers: budgets, ways to sign in, and the last minutes of the server."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from playground.access import People
from playground.access.oidc import open_oidc
from playground.engine.stats import EngineStats
from playground.errors import InvalidRequest
from playground.jobs import JobSummary
from playground.jobs.job import Progress
from playground.lab.live import LiveFigures
from playground.lab.metrics import Metrics
from playground.settings import LimitSettings, OidcSettings
from playground.store.accounts import Accounts
from playground.ui.admin.events import AdminHandlers
from playground.ui.admin.live import LiveHandlers
from playground.ui.admin.live_view import live_html, minutes_html
from playground.ui.components.binding import UNCHANGED

PROVIDER = OidcSettings(issuer="https://login.example", client_id="x", name="<Ours>")


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    with closing(People(Accounts(tmp_path))) as people:
        people.add_account("ana", "user", None)
        yield people


def test_budgets_are_set_and_shown(people: People) -> None:
    handlers = AdminHandlers(people)
    shown = handlers.set_budget("ana", " $2,5 ", "")
    assert "USD 2.5 a day" in shown.accounts
    key = people.add_key("ci", ["chat"]).key
    assert "USD 7 a month" in handlers.set_key_budget(key.id, "", "7").keys
    assert handlers.show_budget("ana").day_budget == "2.5"
    assert handlers.show_key_budget(key.id).key_month_budget == "7"
    assert "USD" not in handlers.set_budget("ana", "", "").accounts
    with pytest.raises(InvalidRequest, match="USD a month: 'ten' is no number"):
        handlers.set_budget("ana", "", "ten")
    with pytest.raises(InvalidRequest, match="choose one first"):
        handlers.set_key_budget(None, "1", "1")


def test_the_settings_budget_is_shown(people: People) -> None:
    handlers = AdminHandlers(people, limits=LimitSettings(usd_per_day=5))
    assert "USD 5 a day (default)" in handlers.refresh().accounts
    shown = handlers.set_budget("ana", "", "20").accounts
    assert "USD 5 a day (default), USD 20 a month" in shown
    assert "default" not in handlers.set_budget("ana", "0", "").accounts


def test_a_late_refresh_keeps_the_new_key(people: People) -> None:
    handlers = AdminHandlers(people)
    assert handlers.add_key("ci", ["chat"], None, 0).secret is not UNCHANGED
    late = handlers.refresh()
    assert (late.secret, late.note) == (UNCHANGED, UNCHANGED)


def test_ways_to_sign_in_are_shown(people: People) -> None:
    handlers = AdminHandlers(people, open_oidc(PROVIDER, people))
    assert "nothing yet" in handlers.refresh().accounts
    people.link("ana", "https://login.example", "subject")
    assert "&lt;Ours&gt;" in handlers.refresh().accounts
    assert "password, &lt;Ours&gt;" not in handlers.add_account("bo", "user", "").accounts
    with pytest.raises(InvalidRequest, match="password"):
        AdminHandlers(people).add_account("cy", "user", "")


def live_of(readings: int, *, gpu: bool = False) -> LiveFigures:
    moments = iter(1_000_000.0 + 5 * number for number in range(readings))
    total = 2**30 if gpu else 0
    stats = EngineStats(3, 1, 50, 200, 10, 5, 0, 2, 2, total // 2, total)
    live = LiveFigures(Metrics("m", lambda: stats, lambda: ()), now=lambda: next(moments))
    for _ in range(readings):
        live.read()
    return live


def test_the_first_figures_take_a_moment() -> None:
    assert "The first figures come in 10 seconds" in live_html(live_of(1))
    assert minutes_html(live_of(1)) == ""


def test_curves_and_minutes_have_the_figures() -> None:
    live = live_of(40)
    curves, minutes = live_html(live), minutes_html(live)
    assert curves.count("<svg") == 6
    assert "KV cache in use <b>25 %</b>" in curves
    assert "waiting <b>1</b>" in curves
    assert ">100 %</text>" in curves
    assert "mean <b>–</b>" in curves
    assert minutes.count('<th scope="row">') == 3  # whole ones
    assert minutes.count("<td>25 %</td>") == 3


def test_a_gpu_has_a_curve() -> None:
    assert "<strong>GPU memory</strong>" in live_html(live_of(3, gpu=True))


def test_a_training_run_shows_its_steps() -> None:
    run = JobSummary(
        id="1", kind="train", name="<prices>", state="running", phase="", message="", notes=(),
        progress=Progress(12, 1400), created_s=0.0, ended_s=None,
    )  # fmt: skip
    done = replace(run, name="other", state="done")
    live = LiveFigures(Metrics("m", lambda: None, lambda: (run, done)))
    shown = live_html(live)
    assert "12 of 1,400 steps" in shown
    assert "&lt;prices&gt;" in shown
    assert "other" not in shown


def test_nobody_looks_and_the_clock_stops() -> None:
    handlers = LiveHandlers(live_of(3))
    seen, left = handlers.refresh(True), handlers.refresh(False)
    assert (seen.timer.active, left.timer.active) == (True, False)
    assert (left.curves, left.minutes) == (UNCHANGED, UNCHANGED)
