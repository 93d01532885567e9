"""Python text as JSON schema: a function's signature, or pydantic models and dataclasses.

The text comes from whoever has the page open, so it is parsed and never executed. Understood are
the annotations that have a JSON form; anything else is an error with its line.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from docstring_parser import parse

from playground.errors import InvalidRequest
from playground.protocol import Tool

Schema = dict[str, Any]
FIELD = "source"
SCALARS: Mapping[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
    "dict": {"type": "object"},
    "list": {"type": "array"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "UUID": {"type": "string", "format": "uuid"},
    "EmailStr": {"type": "string", "format": "email"},
    "AnyUrl": {"type": "string", "format": "uri"},
    "HttpUrl": {"type": "string", "format": "uri"},
    "Decimal": {"type": "number"},
}
LISTS = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"})
UNIQUE = frozenset({"set", "Set", "frozenset"})
CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "description": "description",
}


def tools_of_signatures(source: str) -> tuple[Tool, ...]:
    """The tools that functions' signatures and docstrings describe; bodies are not needed.

    Raises `InvalidRequest` with the line of what is not understood.
    """
    text = _with_bodies(source)
    module = _parsed(
        text
        if text.lstrip().startswith(("def", "async", "class", "from", "import", "@", "#"))
        else f"def {text}: ..."
    )
    functions = [n for n in module.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        raise InvalidRequest(FIELD, "there is no function: write def name(parameter: type): …")
    return tuple(_tool_of(function, module) for function in functions)


def _with_bodies(source: str) -> str:
    """Give signatures that stand alone a body."""
    lines = source.rstrip().splitlines()
    for number, line in enumerate(lines):
        following = next((after for after in lines[number + 1 :] if after.strip()), "")
        ends = line.rstrip().endswith(":") and not following.startswith((" ", "\t"))
        if ends and not line.startswith((" ", "\t", "class")):
            lines[number] = f"{line} ..."
    return "\n".join(lines)


def _tool_of(function: ast.FunctionDef | ast.AsyncFunctionDef, module: ast.Module) -> Tool:
    reader = _Reader(module)
    docstring = parse(ast.get_docstring(function) or "")
    described = {param.arg_name: param.description for param in docstring.params}
    arguments = function.args
    if arguments.vararg or arguments.posonlyargs:
        raise InvalidRequest(FIELD, f"line {function.lineno}: every parameter needs a name")
    properties: Schema = {}
    required: list[str] = []
    positional = [None] * (len(arguments.args) - len(arguments.defaults)) + [*arguments.defaults]
    for argument, default in zip(
        [*arguments.args, *arguments.kwonlyargs],
        [*positional, *arguments.kw_defaults],
        strict=True,
    ):
        schema = reader.schema(argument.annotation) if argument.annotation else {}
        if described.get(argument.arg):
            schema["description"] = described[argument.arg]
        if default is None:
            required.append(argument.arg)
        else:
            schema |= _default(default)
        properties[argument.arg] = schema
    parameters = {"type": "object", "properties": properties, "required": required}
    return Tool(function.name, (docstring.description or "").strip(), parameters | reader.defs())


def schema_of_models(source: str) -> Schema:
    """The schema of the last class of the text, with those it refers to under ``$defs``.

    Raises `InvalidRequest` with the line of what is not understood.
    """
    module = _parsed(source)
    reader = _Reader(module)
    models = [name for name, node in reader.classes.items() if not reader.is_enum(node)]
    if not models:
        raise InvalidRequest(FIELD, "there is no class: write class Name(BaseModel): …")
    return reader.model(reader.classes[models[-1]]) | reader.defs(without=models[-1])


class _Reader:
    """Annotations of one module, with the classes that it defines."""

    def __init__(self, module: ast.Module) -> None:
        self.classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
        self._used: list[str] = []

    def defs(self, without: str = "") -> Schema:
        """``$defs`` of the classes that were referred to, and those that they refer to."""
        definitions: Schema = {}
        at = 0
        while at < len(self._used):
            name = self._used[at]
            definitions[name] = self.model(self.classes[name])
            at += 1
        if without in definitions:
            definitions[without] = self.model(self.classes[without])
        return {"$defs": definitions} if definitions else {}

    def is_enum(self, node: ast.ClassDef) -> bool:
        return any(ast.unparse(base).split(".")[-1].endswith("Enum") for base in node.bases)

    def model(self, node: ast.ClassDef) -> Schema:
        if self.is_enum(node):
            values = [_literal(line.value) for line in node.body if isinstance(line, ast.Assign)]
            return {"enum": values}
        properties: Schema = {}
        required: list[str] = []
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self.classes and base.id != node.name:
                inherited = self.model(self.classes[base.id])
                properties |= inherited["properties"]
                required += inherited["required"]
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                name, schema = line.target.id, self.schema(line.annotation)
                if ast.unparse(line.annotation).startswith("ClassVar"):
                    continue
                is_required = line.value is None
                if line.value is not None:
                    extra, is_required = _field(line.value, schema)
                    schema |= extra
                properties[name] = schema
                if is_required and name not in required:
                    required.append(name)
        schema = {"type": "object", "properties": properties, "required": required}
        docstring = ast.get_docstring(node)
        return {"description": docstring} | schema if docstring else schema

    def schema(self, node: ast.expr) -> Schema:
        match node:
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.Constant(value=str() as text):
                return self.schema(_parsed(text, node.lineno).body[0].value)  # type: ignore[attr-defined]
            case ast.Name(id=name) if name in self.classes:
                if name not in self._used:
                    self._used.append(name)
                return {"$ref": f"#/$defs/{name}"}
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in SCALARS:
                return dict(SCALARS[name])
            case ast.BinOp(op=ast.BitOr()):
                return _union([self.schema(part) for part in _alternatives(node)])
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name)):
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                known = self._generic(name, inner)
                if known is not None:
                    return known
        raise _unknown(node)

    def _generic(self, name: str, inner: Sequence[ast.expr]) -> Schema | None:
        if name == "Optional":
            return _union([self.schema(inner[0]), {"type": "null"}])
        if name == "Union":
            return _union([self.schema(part) for part in inner])
        if name == "Literal":
            return {"enum": [_literal(part) for part in inner]}
        if name in LISTS | UNIQUE:
            unique = {"uniqueItems": True} if name in UNIQUE else {}
            return {"type": "array", "items": self.schema(inner[0])} | unique
        if name in ("dict", "Dict", "Mapping") and len(inner) == 2:
            return {"type": "object", "additionalProperties": self.schema(inner[1])}
        if name == "Annotated":
            schema = self.schema(inner[0])
            for part in inner[1:]:
                schema |= _field(part, schema)[0] if isinstance(part, ast.Call) else {}
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    schema["description"] = part.value
            return schema
        return self.schema(inner[0]) if name in ("ClassVar", "Required") else None


def _field(node: ast.expr, schema: Mapping[str, Any]) -> tuple[Schema, bool]:
    """What ``= Field(…)`` or ``= default`` adds, and whether the field is required."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Field"):
        return _default(node), False
    added: Schema = {}
    required = True
    if node.args:
        required = isinstance(node.args[0], ast.Constant) and node.args[0].value is ...
        added |= {} if required else _default(node.args[0])
    for keyword in node.keywords:
        name = keyword.arg or ""
        if name in CONSTRAINTS:
            added[CONSTRAINTS[name]] = _literal(keyword.value)
        elif name in ("min_length", "max_length"):
            end = "Items" if schema.get("type") == "array" else "Length"
            added[name[:3] + end] = _literal(keyword.value)
        elif name in ("default", "default_factory"):
            required = False
            added |= _default(keyword.value) if name == "default" else {}
    return added, required


def _default(node: ast.expr) -> Schema:
    try:
        return {"default": _literal(node)}
    except InvalidRequest:
        return {}


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise _unknown(node) from error
    if not isinstance(value, str | int | float | bool | list | dict | None):
        raise _unknown(node)
    return value


def _union(parts: Sequence[Schema]) -> Schema:
    """Plain types are joined; others become ``anyOf``."""
    if all(set(part) == {"type"} and isinstance(part["type"], str) for part in parts):
        return {"type": [part["type"] for part in parts]}
    return {"anyOf": list(parts)}


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _parsed(source: str, line: int = 1) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        at = (error.lineno or 1) + line - 1
        raise InvalidRequest(FIELD, f"line {at}: no Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidRequest(FIELD, "no Python") from error


def _unknown(node: ast.expr) -> InvalidRequest:
    return InvalidRequest(
        FIELD, f"line {node.lineno}: {ast.unparse(node)[:100]!r} has no JSON schema here"
    )
