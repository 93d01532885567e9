"""The API's OpenAPI document and the page that shows it, made from what parses the requests: the
routes' own parameters, and the pydantic bodies with what `playground.api.parameters` ignores and
refuses.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, PackageLoader
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response

import playground
from playground.api.parameters import UnsupportedParameters

Document = dict[str, Any]
"""A part of an OpenAPI document: JSON of many shapes."""

BODIES = "x-bodies"
REF = "#/components/schemas/{model}"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of the page, which is HTML and its own style."""
ERRORS: Mapping[str, str] = {
    "400": "A field is wrong; `param` names it.",
    "401": "The API key is missing or wrong.",
    "403": "That cannot be done to this object.",
    "404": "There is no such object, model or path.",
    "405": "The path has other methods.",
    "409": "The object is in a state that does not allow it.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or is encoded.",
    "429": "The queue is full; try again after `Retry-After`.",
    "503": "The model is still loading, or the server is shutting down.",
}
ERROR: Document = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def json_body(
    model: type[BaseModel],
    unsupported: UnsupportedParameters | None = None,
    *,
    streams: bool = False,
) -> Document:
    """Return what a route that parses its body itself says of it: ``openapi_extra``.

    ``streams``: its answer may be server-sent events.
    """
    schema = deepcopy(_schema_of(model))
    others = schema.pop("$defs", {})
    if unsupported:
        schema["properties"] |= {
            name: {"description": f"Ignored: {reason}."}
            for name, reason in unsupported.ignored.items()
        }
        schema["properties"] |= {
            name: {"description": f"Refused: {rule.supported}."}
            for name, rule in unsupported.refused.items()
        }
    reference = {"$ref": REF.format(model=model.__name__)}
    body = {"required": True, "content": {"application/json": {"schema": reference}}}
    streamed: Document = (
        {"responses": {"200": {"content": {"text/event-stream": {}}}}} if streams else {}
    )
    return {"requestBody": body, BODIES: {**others, model.__name__: schema}, **streamed}


@cache
def _schema_of(model: type[BaseModel]) -> Document:
    """Return a body's JSON schema, made once: an application has most of its routes twice."""
    return model.model_json_schema(ref_template=REF)


def make_document(api: FastAPI) -> Document:
    """Return the document of an application's routes."""
    document: Document = get_openapi(
        title="Mistral playground",
        version=playground.__version__,
        description="OpenAI's API, and Together's, Anthropic's, Mistral's and vLLM's beside it.",
        routes=api.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = ERROR
    for path, operations in document["paths"].items():
        for operation in operations.values():
            schemas |= operation.pop(BODIES, {})
            _complete(path, operation)
    return document


def install_document(api: FastAPI) -> None:
    """Serve ``/v1/openapi.json``, and ``/docs`` without anything of another host."""
    made: list[Document] = []

    def document() -> Document:
        if not made:  # at the first request: it takes a moment, and most servers get none
            made.append(make_document(api))
        return made[0]

    @api.get("/v1/openapi.json", include_in_schema=False)
    def show() -> Response:
        return JSONResponse(document())

    @api.get("/docs", include_in_schema=False)
    def show_page() -> Response:
        return HTMLResponse(make_page(document()), headers={"content-security-policy": POLICY})


def make_page(document: Document) -> str:
    """Return the document as a page of HTML: every operation, its parameters and its errors."""
    environment = Environment(loader=PackageLoader("playground.api"), autoescape=True)
    operations = [
        {
            "id": f"{method}-{path}",
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "description": operation.get("description", ""),
            "parameters": operation.get("parameters", []),
            "fields": _fields(document, operation),
        }
        for path, methods in sorted(document["paths"].items())
        for method, operation in methods.items()
    ]
    return environment.get_template("docs.html").render(
        info=document["info"], operations=operations, errors=ERRORS
    )


def describe_type(schema: Document) -> str:
    """Return a schema's type in a few words: ``integer or null``, ``list of string``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(describe_type(each) for each in schema[several]))
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {describe_type(schema.get('items', {}))}"
    return str(kind)


def _complete(path: str, operation: Document) -> None:
    """Say what every operation answers in case of an error, and what is no JSON."""
    responses = operation["responses"]
    responses.pop("422", None)
    error = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    for status, description in ERRORS.items():
        responses[status] = {"description": description, "content": error}
    if path.endswith(("/content", "/download")):
        responses["200"]["content"] = {"application/octet-stream": {}}
    if path.endswith("_lora_adapter"):
        responses["200"]["content"] = {"text/plain": {}}
    if path == "/v1/feedback":
        responses["200"]["content"] = {"application/jsonl": {}}
    if path == "/v1/files" and "requestBody" in operation:
        responses["302"] = {"description": "Send the announced file's bytes to `Location`."}
    if path == "/health":
        responses["503"]["content"] = {"application/json": {}}


def _fields(document: Document, operation: Document) -> list[Document]:
    content: Document = operation.get("requestBody", {}).get("content", {})
    of_type: Document = next(iter(content.values()), {})
    schema: Document = of_type.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][describe_type(schema)]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": describe_type(field),
            "required": name in required,
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]
