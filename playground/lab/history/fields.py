"""Fields of other makers' JSON, read with their types; what is wrong is named by its field."""

import hashlib
from collections.abc import Mapping, Sequence


class Unreadable(Exception):
    """A conversation of a file cannot be read; the message begins with the field."""


class Fields:
    """An object of a file."""

    def __init__(self, value: object, name: str = "") -> None:
        if not isinstance(value, dict):
            raise Unreadable(f"{name or 'it'}: is {type(value).__name__}, not an object")
        self.all: Mapping[str, object] = value
        self._name = f"{name}." if name else ""

    def text(self, name: str) -> str:
        """Return a text; empty if it is missing or null."""
        value = self.all.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Unreadable(f"{self._name}{name}: is {type(value).__name__}, not text")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """Return a list of texts; others in it are left out."""
        return [each for each in self.list(name) if isinstance(each, str)]

    def number(self, name: str) -> float | None:
        """Return a time in seconds since the epoch; older exports have milliseconds."""
        value = self.all.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) / 1000 if value > 1e11 else float(value)

    def flag(self, name: str) -> bool:
        """Return whether a field is true."""
        return self.all.get(name) is True

    def list(self, name: str) -> Sequence[object]:
        """Return a list; empty if it is missing or null."""
        value = self.all.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Unreadable(f"{self._name}{name}: is {type(value).__name__}, not a list")
        return value

    def objects(self, name: str) -> Sequence["Fields"]:
        """Return a list of objects."""
        return [
            Fields(each, f"{self._name}{name}[{place}]")
            for place, each in enumerate(self.list(name))
        ]

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object's fields; none if it is missing or null."""
        value = self.all.get(name)
        return {} if value is None else Fields(value, f"{self._name}{name}").all

    def object(self, name: str) -> "Fields":
        """Return an object; an empty one if it is missing or null."""
        return Fields(dict(self.mapping(name)), f"{self._name}{name}")


def id_of(source: str, their_id: str) -> str:
    """Return our id for a conversation of another maker; empty if it has none."""
    digest = hashlib.sha256(f"{source}:{their_id}".encode()).hexdigest()
    return f"conv_{digest[:32]}" if their_id else ""
