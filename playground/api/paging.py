"""Pages of a list: ``limit`` and ``after``, as OpenAI's lists have them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from playground.api.errors import Refused

T = TypeVar("T")


def page_of(
    items: Sequence[T], id_of: Callable[[T], object], limit: int, after: str | None
) -> tuple[list[T], bool]:
    """Return the items behind the one with the id ``after``, and whether there are more.

    Raises `Refused` with 404 if there is no such item.
    """
    start = 0
    if after is not None:
        places = [place for place, item in enumerate(items) if id_of(item) == after]
        if not places:
            raise Refused(404, "not_found", f"after: there is no {after!r} in this list", "after")
        start = places[0] + 1
    return list(items[start : start + limit]), start + limit < len(items)


def list_body(data: Sequence[dict[str, Any]], has_more: bool) -> dict[str, object]:
    """OpenAI's list object."""
    return {
        "object": "list",
        "data": list(data),
        "has_more": has_more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
