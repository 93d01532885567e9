"""Schemas that nothing finite fits: a grammar of them would begin an answer and never end it.

A schema may refer to itself, as a tree does, where an answer can stop: at an optional property, an
empty list or another choice of ``anyOf``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from playground.errors import InvalidRequest
from playground.protocol.json_types import Json, JsonObject, list_at, object_at
from playground.structured.keywords import escape, subschemas
from playground.structured.references import SchemaNode

MAX_NODES = 20_000
"""Schemas reached through references; each is looked at once."""
DEFINITIONS = ("/$defs/", "/definitions/")


def check_recursion(schema: JsonObject, field_name: str) -> None:
    """Raises `InvalidRequest` with the place, for a ``$ref`` that points at nothing and for a
    schema that nothing finite fits.
    """
    graph = _Graph(field_name)
    root = graph.add(SchemaNode.root(schema, field_name), "")
    finite = graph.finite()
    endless = next((node for node in graph.nodes.values() if node.key not in finite), None)
    if endless is None:
        return
    place = graph.cycle(graph.nodes[root] if root not in finite else endless, finite)
    raise InvalidRequest(
        field_name, f"the schema is wrong at {place or '/'}: it refers to itself endlessly"
    )


@dataclass(slots=True)
class _Node:
    """A schema; ``all_of`` must be finite with it, and one of each group of ``any_of``."""

    key: int
    pointer: str
    all_of: list[int] = field(default_factory=list)
    any_of: list[list[int]] = field(default_factory=list)


@dataclass(slots=True)
class _Graph:
    """The schemas that can be reached from the root, by the identity of their values."""

    field_name: str
    nodes: dict[int, _Node] = field(default_factory=dict)
    _values: list[Json] = field(default_factory=list)  # kept alive, so that identities stay theirs

    def add(self, start: SchemaNode, pointer: str) -> int:
        """Add the schema and all that it leads to; returns its key."""
        waiting = [(start, pointer)]
        while waiting:
            node, place = waiting.pop()
            if not isinstance(node.value, dict) or id(node.value) in self.nodes:
                continue
            if len(self.nodes) == MAX_NODES:
                raise InvalidRequest(self.field_name, f"more than {MAX_NODES:,} schemas")
            waiting += reversed(self._enter(node, place))
        return id(start.value)

    def finite(self) -> set[int]:
        """The schemas that some finite value fits: the least set that their rules allow."""
        finite: set[int] = set()
        waiting = list(reversed(self.nodes.values()))  # inner ones mostly come first
        while True:
            rest = [node for node in waiting if not self._is_finite(node, finite)]
            if len(rest) == len(waiting):
                return finite
            waiting = rest

    def cycle(self, node: _Node, finite: set[int]) -> str:
        """The pointer at which a chain of endless schemas comes back to itself."""
        seen: set[int] = set()
        while node.key not in seen:
            seen.add(node.key)
            needed = [*node.all_of, *(key for group in node.any_of for key in group)]
            node = self.nodes[next(key for key in needed if key not in finite)]
        return node.pointer

    @staticmethod
    def _is_finite(node: _Node, finite: set[int]) -> bool:
        fits = all(key in finite for key in node.all_of) and all(
            any(key in finite for key in group) for group in node.any_of
        )
        if fits:
            finite.add(node.key)
        return fits

    def _enter(self, node: SchemaNode, pointer: str) -> list[tuple[SchemaNode, str]]:
        """Note what the schema needs; returns the schemas that it leads to."""
        schema = node.object
        entry = self.nodes[id(schema)] = _Node(id(schema), pointer)
        self._values.append(schema)
        reached = [
            (node.child(inner), pointer + step)
            for step, inner in subschemas(schema)
            if not step.startswith(DEFINITIONS)
        ]
        if node.reference:
            target = node.target()
            reached.append((target, _pointer_of(node.reference)))
            if isinstance(target.value, dict):
                entry.all_of.append(id(target.value))
        if not {"enum", "const"} & set(schema):
            entry.all_of += [id(inner) for inner in _needed(schema) if isinstance(inner, dict)]
            for key in ("anyOf", "oneOf"):
                choices = list_at(schema, key)
                if choices and all(isinstance(choice, dict) for choice in choices):
                    entry.any_of.append([id(choice) for choice in choices])
        return reached


def _needed(schema: JsonObject) -> Iterator[Json]:
    """The schemas within this one that every value of it has a value of."""
    yield from list_at(schema, "allOf")
    if schema.get("type") in ("object", ["object"]):
        properties = object_at(schema, "properties")
        for name in list_at(schema, "required"):
            yield properties.get(name) if isinstance(name, str) else None
    if schema.get("type") in ("array", ["array"]):
        least = schema.get("minItems", 0)
        first = list_at(schema, "prefixItems")
        if isinstance(least, (int, float)):
            yield from first[: int(least)]
            if least > len(first):
                yield schema.get("items")


def _pointer_of(reference: str) -> str:
    """The place that a reference names, as it is best shown."""
    return reference[1:] if reference == "#" or reference.startswith("#/") else escape(reference)
