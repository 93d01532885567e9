"""``$ref`` in JSON schemas and OpenAPI documents, followed within the document and nowhere else.

Pointers, ``$defs``, ``$anchor`` and ``$id`` are resolved by `referencing`, as JSON Schema defines
them (https://json-schema.org/draft/2020-12/json-schema-core#section-8). Nothing is ever fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from playground.errors import InvalidRequest
from playground.protocol.json_types import Json, JsonObject, list_at, object_at, text_at

if TYPE_CHECKING:
    from referencing._core import Resolver  # public in its documentation, exported nowhere else

MAX_INLINE_DEPTH = 16
"""Nesting at which `inline` leaves a recursive schema open."""
MAX_INLINE_NODES = 20_000
"""Values in an inlined schema: one that refers to itself often grows exponentially."""


@dataclass(frozen=True, slots=True)
class SchemaNode:
    """A value in a document, with the base URI that references in it are relative to.

    Errors name ``field``, the request's field that the document came in.
    """

    value: Json
    field: str
    _resolver: "Resolver[Json]"

    @classmethod
    def root(cls, document: JsonObject, field: str) -> "SchemaNode":
        """Return the whole document."""
        contents = document
        if not isinstance(document.get("$id"), str):
            contents = {key: value for key, value in document.items() if key != "$id"}
        resource = DRAFT202012.create_resource(contents)
        registry: Registry[Json] = Registry()
        return cls(document, field, registry.resolver_with_root(resource))

    @property
    def object(self) -> JsonObject:
        """The value if it is an object, otherwise an empty one."""
        return self.value if isinstance(self.value, dict) else {}

    def child(self, value: Json) -> "SchemaNode":
        """Return a value inside this one; an ``$id`` there starts a base URI of its own."""
        resolver = self._resolver
        if isinstance(value, dict) and isinstance(value.get("$id"), str):
            resolver = resolver.in_subresource(DRAFT202012.create_resource(value))
        return SchemaNode(value, self.field, resolver)

    def at(self, key: str) -> "SchemaNode":
        """Return what the object has under the key, resolved; an empty object if nothing."""
        return self.child(self.object.get(key) or {}).resolved()

    def items_at(self, key: str) -> "Iterator[SchemaNode]":
        """Yield the items of the list under the key, each resolved."""
        for item in list_at(self.object, key):
            yield self.child(item).resolved()

    def children_at(self, key: str) -> "dict[str, SchemaNode]":
        """Return the members of the object under the key, not yet resolved."""
        return {name: self.child(value) for name, value in object_at(self.object, key).items()}

    def resolved(self) -> "SchemaNode":
        """Follow ``$ref`` until there is none.

        Raises `InvalidRequest` for one that points at nothing or only back at itself.
        """
        node, seen = self, set[int]()
        while isinstance(node.value, dict) and isinstance(node.value.get("$ref"), str):
            if id(node.value) in seen:
                raise InvalidRequest(self.field, f"{node.reference!r} refers to itself endlessly")
            seen.add(id(node.value))
            node = node.target()
        return node

    @property
    def reference(self) -> str:
        """The value's own ``$ref``, or an empty string."""
        return text_at(self.object, "$ref")

    def target(self) -> "SchemaNode":
        """Return what the value's own ``$ref`` points at, not yet resolved.

        Raises `InvalidRequest` for one that points at nothing.
        """
        try:
            target = self._resolver.lookup(self.reference)
        except (Unresolvable, ValueError, TypeError, AttributeError) as error:
            # all but the first: the pointer or the document is malformed
            raise InvalidRequest(self.field, f"{self.reference!r} points at nothing") from error
        return SchemaNode(target.contents, self.field, target.resolver)


def inline(node: SchemaNode) -> Json:
    """Return the value with its references replaced by what they point at.

    A recursive schema is left open at `MAX_INLINE_DEPTH`. Raises `InvalidRequest` for one that
    would become too large.
    """
    return _Inliner(MAX_INLINE_NODES).inline(node, 0)


@dataclass(slots=True)
class _Inliner:
    nodes_left: int

    def inline(self, node: SchemaNode, depth: int) -> Json:
        if depth > MAX_INLINE_DEPTH:
            return {}
        self.nodes_left -= 1
        if self.nodes_left < 0:
            raise InvalidRequest(node.field, "the schema is too large once its $refs are replaced")
        node = node.resolved()
        value = node.value
        if isinstance(value, dict):
            return {key: self.inline(node.child(child), depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self.inline(node.child(child), depth + 1) for child in value]
        return value
