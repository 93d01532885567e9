"""docs/performance.md says what was measured."""

from benchmarks.performance import GOALS, PAGE, read_results, written


def test_the_pages_tables_are_those_of_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page


def test_every_goal_is_measured_for_every_shape_and_precision() -> None:
    for kind, runs in read_results().items():
        for name, _, _, values in GOALS:
            for value in values:
                assert any(value(run) for run in runs), (kind, name)
