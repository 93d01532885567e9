"""`playground.errors`: the tree in its docstring, and how each kind is reported."""

import inspect
from typing import get_args

import pytest

from playground import errors
from playground.api.errors import STATUS_AND_TYPE, translate
from playground.errors import Kind, PlaygroundError
from playground.ui.components.errors import TITLES


def _tree(error: type[PlaygroundError], indent: str = "") -> list[str]:
    """Draw the subclasses of ``error``: name and the first line of the docstring."""
    lines = []
    subclasses = error.__subclasses__()
    children = [child for child in subclasses if child.__module__ == errors.__name__]
    for child in children:
        last = child is children[-1]
        branch = f"{indent}{'└' if last else '├'}── {child.__name__}"
        summary = (child.__doc__ or "").splitlines()[0]
        lines.append(f"    {branch:<26}{summary}")
        lines += _tree(child, f"{indent}{' ' if last else '│'}   ")
    return lines


def test_docstring_tree_matches_classes() -> None:
    tree = "\n".join(["    PlaygroundError", *_tree(PlaygroundError)])
    assert tree in inspect.getsource(errors), f"errors.py should have this tree:\n{tree}"


def test_every_kind_is_reported() -> None:
    kinds = set(get_args(Kind))
    assert set(STATUS_AND_TYPE) == kinds
    assert set(TITLES) == kinds


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.UnknownModel("a", ["b"]), 404, "model_not_found"),
        (errors.AdapterChanged("a", "1", "2"), 409, "adapter_changed"),
        (errors.InvalidRequest("top_p", "is negative"), 400, "invalid_value"),
        (errors.WrongBase("made for another"), 400, "wrong_base"),
        (errors.Overloaded(3), 429, "overloaded"),
        (errors.EngineStopped("stopped"), 503, "engine_stopped"),
        (errors.RequestFailed("failed"), 500, "request_failed"),
        (errors.Unauthorized(), 401, "invalid_api_key"),
    ],
)
def test_api_reports_error_status(error: PlaygroundError, status: int, code: str) -> None:
    reply = translate(error)
    assert (reply.status, reply.code, reply.param) == (status, code, error.field)
