"""The response format of a request, in the dialects of OpenAI, Together and vLLM."""

from collections.abc import Sequence

from playground.api.errors import Refused
from playground.api.schemas import ResponseFormatBody, SamplingBody, StructuredOutputsBody
from playground.errors import InvalidRequest
from playground.protocol import ANY_OBJECT, ResponseFormat

GivenFormat = tuple[str, ResponseFormat]
"""A format and the field that gave it, as the client wrote it."""


def response_format(body: SamplingBody) -> GivenFormat | None:
    """The one format that the body asks for; None for plain text. Raises `InvalidRequest`."""
    given = _guided(
        "guided_",
        schema=body.guided_json,
        regex=body.guided_regex,
        choice=body.guided_choice,
        grammar=body.guided_grammar,
    )
    if body.structured_outputs is not None:
        given += _structured(body.structured_outputs)
    if body.response_format is not None:
        given += _openai(body.response_format)
    if len(given) > 1:
        names = ", ".join(name for name, _ in given)
        raise InvalidRequest(given[1][0], f"only one format can be asked for; given: {names}")
    return given[0] if given else None


def _structured(body: StructuredOutputsBody) -> list[GivenFormat]:
    given = _guided(
        "structured_outputs.",
        schema=body.json_,
        regex=body.regex,
        choice=body.choice,
        grammar=body.grammar,
    )
    if body.json_object:
        given.append(("structured_outputs.json_object", ANY_OBJECT))
    if not given:
        names = "json, regex, choice, grammar or json_object"
        raise InvalidRequest("structured_outputs", f"is empty; give {names}")
    return given


def _guided(
    prefix: str,
    *,
    schema: dict[str, object] | None,
    regex: str | None,
    choice: Sequence[str] | None,
    grammar: str | None,
) -> list[GivenFormat]:
    given: list[GivenFormat] = []
    if schema is not None:
        given.append((f"{prefix}json", ResponseFormat(schema)))
    if regex is not None:
        given.append((f"{prefix}regex", ResponseFormat(kind="regex", pattern=regex)))
    if choice is not None:
        given.append((f"{prefix}choice", ResponseFormat(kind="choice", choices=tuple(choice))))
    if grammar is not None:
        given.append((f"{prefix}grammar", ResponseFormat(kind="grammar", pattern=grammar)))
    return given


def _openai(body: ResponseFormatBody) -> list[GivenFormat]:
    name = "response_format"
    if body.type == "text":
        return []
    if body.type == "regex":
        if body.pattern is None:
            raise _missing(f"{name}.pattern")
        return [(f"{name}.pattern", ResponseFormat(kind="regex", pattern=body.pattern))]
    if body.type == "json_schema" and body.json_schema is not None:
        named = body.json_schema
        about = (named.name or "", named.description or "")
        return [(name, ResponseFormat(named.schema_, bool(named.strict), *about))]
    if body.type == "json_schema" and body.schema_ is None:
        raise _missing(f"{name}.json_schema")
    return [(name, ANY_OBJECT if body.schema_ is None else ResponseFormat(body.schema_))]


def _missing(name: str) -> Refused:
    return Refused(400, "missing_required_parameter", f"{name}: this field is required", name)
