"""OpenAI's evals as a sweep: the eval object with its ``testing_criteria``, and a run's
``data_source``, in the shapes of their API and their export.

What cannot be graded alike here is refused by name, never left out. Knows no backend.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from playground.errors import InvalidRequest
from playground.protocol.json_types import Json, JsonObject, object_at, objects_at, text_at
from playground.structured.validation import first_error

OUTPUT = re.compile(r"\{\{\s*sample\.output_text\s*\}\}")
OUTPUT_FIELD = re.compile(r"\{\{\s*sample\.output_json\.([\w.]+)\s*\}\}")
OPERATIONS: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "eq": {"type": "exact"},
        "ne": {"type": "exact", "negate": True},
        "like": {"type": "contains"},
        "ilike": {"type": "contains", "ignore_case": True},
    }
)
METRICS: Final = MappingProxyType({"fuzzy_match": "ratio", "cosine": "cosine", "rouge_1": "f1"})
SAMPLING: Final = MappingProxyType(
    {"temperature": "temperature", "top_p": "top_p", "seed": "seed",
     "max_completion_tokens": "max_tokens"}
)  # fmt: skip
OWN: Final = ("prompts", "models", "settings", "rows", "judge", "price")
"""Fields of a sweep that may stand beside an eval's, and go before what the eval says."""
NOT_SERVED = "their models are not served here: this server's judge grades instead"
COSINE = "cosine is of word counts here, not of embeddings"


def is_openai_eval(body: Mapping[str, Json]) -> bool:
    """Whether this is an eval of OpenAI's."""
    return "testing_criteria" in body or "data_source_config" in body


def sweep_of_eval(body: Mapping[str, Json]) -> JsonObject:
    """Return the eval, with its run if there is one, as a sweep is written.

    Raises `InvalidRequest` for what is not supported, with its place.
    """
    notes: list[Json] = []
    criteria = body.get("testing_criteria")
    if not isinstance(criteria, list) or not criteria:
        raise InvalidRequest("testing_criteria", "must be a list of graders")
    graders: list[Json] = [
        _grader(item, f"testing_criteria[{number}]", notes) for number, item in enumerate(criteria)
    ]
    made: JsonObject = {"name": body.get("name") or "eval", "graders": graders}
    runs = objects_at(dict(body), "runs") or [object_at(dict(body), "run") or dict(body)]
    source = object_at(runs[0], "data_source")
    if source:
        made |= _run(source)
        models = [object_at(run, "data_source").get("model") for run in runs]
        made["models"] = [model for model in models if model]
    made |= {key: body[key] for key in OWN if key in body}
    config = object_at(dict(body), "data_source_config")
    rows = made.get("rows")
    if isinstance(rows, list):
        _check_items(rows, config)
    made["notes"] = list(dict.fromkeys(map(str, notes)))
    return made


def _grader(item: Json, where: str, notes: list[Json]) -> JsonObject:
    if not isinstance(item, dict):
        raise InvalidRequest(where, "must be an object")
    kind = item.get("type")
    made: JsonObject = {"name": str(item.get("name") or kind)}
    if kind == "string_check":
        return made | _string_check(item, where)
    if kind == "text_similarity":
        return made | _similarity(item, where, notes)
    if kind == "score_model":
        return made | _score_model(item, where, notes)
    raise InvalidRequest(
        f"{where}.type",
        f"{kind!r} is not supported; string_check, text_similarity and score_model are",
    )


def _string_check(item: JsonObject, where: str) -> JsonObject:
    operation = OPERATIONS.get(text_at(item, "operation"))
    if operation is None:
        known = ", ".join(OPERATIONS)
        raise InvalidRequest(f"{where}.operation", f"{item.get('operation')!r} is none of {known}")
    reference = text_at(item, "reference")
    field = OUTPUT_FIELD.fullmatch(text_at(item, "input").strip())
    if field and operation["type"] == "exact":
        return operation | {"type": "field", "field": field.group(1), "value": reference}
    _check_input(item, where)
    return operation | {"value": reference}


def _similarity(item: JsonObject, where: str, notes: list[Json]) -> JsonObject:
    _check_input(item, where)
    metric = METRICS.get(text_at(item, "evaluation_metric"))
    if metric is None:
        known = ", ".join(METRICS)
        raise InvalidRequest(
            f"{where}.evaluation_metric", f"{item.get('evaluation_metric')!r} is none of {known}"
        )
    if metric == "cosine":
        notes.append(COSINE)
    made: JsonObject = {
        "type": "similarity", "metric": metric, "value": text_at(item, "reference"),
    }  # fmt: skip
    threshold = item.get("pass_threshold")
    return made if threshold is None else made | {"threshold": threshold}


def _score_model(item: JsonObject, where: str, notes: list[Json]) -> JsonObject:
    texts = [_text(message.get("content"), where) for message in objects_at(item, "input")]
    if not texts:
        raise InvalidRequest(f"{where}.input", "must be a list of messages")
    notes.append(NOT_SERVED)
    made: JsonObject = {"type": "rubric", "rubric": "\n\n".join(texts)}
    threshold, span = item.get("pass_threshold"), item.get("range") or [0, 1]
    if isinstance(threshold, (int, float)):
        low, high = _span(span, where)
        made["threshold"] = (threshold - low) / (high - low)
    return made


def _span(value: Json, where: str) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2:
        low, high = value
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low < high:
            return float(low), float(high)
    raise InvalidRequest(f"{where}.range", "must be two numbers, the lower one first")


def _check_input(item: JsonObject, where: str) -> None:
    text = text_at(item, "input")
    if not OUTPUT.fullmatch(text.strip()):
        raise InvalidRequest(
            f"{where}.input",
            f"{text!r}: only the answer, {{{{sample.output_text}}}}, is graded here",
        )


def _text(content: Json, where: str) -> str:
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"{where}.input", "only text is supported")
    return "".join(map(str, texts))


def _run(source: JsonObject) -> JsonObject:
    """Read a run's data source: what is asked, with which settings, of which rows."""
    if source.get("type") not in ("completions", "responses"):
        raise InvalidRequest(
            "data_source.type", f"{source.get('type')!r} is not supported; completions is"
        )
    made: JsonObject = {}
    messages = object_at(source, "input_messages")
    prompt: JsonObject = {"name": "template"}
    reference = text_at(messages, "item_reference").removeprefix("item.")
    if messages.get("type") == "template":
        prompt["messages"] = [
            {"role": text_at(each, "role"), "content": _text(each.get("content"), "data_source")}
            for each in objects_at(messages, "template")
        ]
    params = object_at(source, "sampling_params")
    response_format = object_at(params, "response_format") or object_at(
        object_at(params, "text"), "format"
    )
    if response_format.get("type") == "json_schema":
        schema = object_at(response_format, "json_schema") or response_format
        prompt["schema"] = object_at(schema, "schema")
    elif response_format.get("type") == "json_object":
        prompt["schema"] = {"type": "object"}
    if params.get("tools"):
        prompt["tools"] = params["tools"]
    made["prompts"] = [prompt]
    made["settings"] = {ours: params[name] for name, ours in SAMPLING.items() if name in params}
    rows = object_at(source, "source")
    if rows.get("type") == "file_content":
        items = [object_at(each, "item") for each in objects_at(rows, "content")]
        made["rows"] = [_with_messages(item, reference) for item in items]
    elif rows.get("type") == "file_id":
        made["rows"] = text_at(rows, "id")
    elif rows:
        raise InvalidRequest(
            "data_source.source.type", f"{rows.get('type')!r} is not supported; file_content is"
        )
    return made


def _with_messages(item: JsonObject, reference: str) -> JsonObject:
    return item | {"messages": item[reference]} if reference in item else item


def _check_items(rows: list[Json], config: JsonObject) -> None:
    schema = object_at(config, "item_schema")
    for number, row in enumerate(rows, 1):
        item = row.get("item", row) if isinstance(row, dict) else row
        if schema and (problem := first_error(schema, item)):
            raise InvalidRequest("rows", f"row {number} does not fit the item schema: {problem}")
