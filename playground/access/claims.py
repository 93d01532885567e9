"""Claims: what a provider says of somebody, found by name. Knows no provider."""

from collections.abc import Mapping
from typing import Any

Claims = dict[str, Any]


def value_at(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or ``b`` within ``a`` by ``a.b``; None if there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found
