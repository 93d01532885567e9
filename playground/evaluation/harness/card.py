"""Two models' results of the same tasks as what a report card has of them: before and after."""

from collections.abc import Iterator

from playground.evaluation.harness.results import HarnessResult, TaskFigure
from playground.evaluation.significance import compare
from playground.evaluation.task_changes import TaskChange


def task_changes(before: HarnessResult, after: HarnessResult) -> tuple[TaskChange, ...]:
    """Return the figures that were asked for, of the base and of the adapter."""
    later = {figure.name: figure for figure in after.figures}
    return tuple(
        _change(figure, later[figure.name], before, after)
        for figure in before.figures
        if figure.is_named and figure.name in later
    )


def _change(
    first: TaskFigure, second: TaskFigure, before: HarnessResult, after: HarnessResult
) -> TaskChange:
    earlier, later = (list(_scores(first, result)) for result in (before, after))
    paired = compare(later, earlier) if earlier and len(earlier) == len(later) else None
    metric = first.name.removeprefix(f"{first.task} ")
    return TaskChange(
        first.task, metric, first.rows, first.num_fewshot, first.value, second.value,
        first.stderr, second.stderr, first.higher_is_better,
        paired.difference if paired else None, paired.p_value if paired else None,
    )  # fmt: skip


def _scores(figure: TaskFigure, result: HarnessResult) -> Iterator[float]:
    """Yield the rows' scores of a task's figure; none of a group, whose rows are its tasks'."""
    for answer in result.answers:
        if answer.task == figure.task and figure.name in answer.scores:
            yield answer.scores[figure.name]
