"""promptfoo's configuration as a sweep: providers, prompts, tests with vars and assertions,
defaultTest, and the files that they name.

What cannot be done alike here is refused by name, never left out. Knows no backend.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from playground.errors import InvalidRequest
from playground.lab.sweeps.files import PREFIX, SweepFiles, parse_document
from playground.lab.sweeps.promptfoo_assertions import assertion_of_cell, grader_of
from playground.lab.sweeps.rows import rows_of_file
from playground.protocol.json_types import Json, JsonObject, object_at

OWN: Final = ("models", "settings", "judge", "price")
"""Fields of a sweep that may stand beside promptfoo's, and go before what it says."""
WITHOUT_EFFECT: Final = (
    "commandLineOptions", "description", "env", "metadata", "outputPath", "sharing", "tags",
    "writeLatestResults", "evaluateOptions", "derivedMetrics",
)  # fmt: skip
KNOWN: Final = ("providers", "targets", "prompts", "tests", "defaultTest", *WITHOUT_EFFECT, *OWN)
TEST_KEYS: Final = ("vars", "assert", "description", "metadata", "threshold", "options")
SETTINGS: Final = MappingProxyType(
    {
        name: name
        for name in (
            "temperature", "top_p", "top_k", "min_p", "seed", "stop", "presence_penalty",
            "frequency_penalty", "max_tokens",
        )
    } | {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
)  # fmt: skip
PROGRAMS: Final = (".js", ".cjs", ".mjs", ".ts", ".py", ".rb", ".sh")
SEPARATOR = re.compile(r"^---\s*$", re.MULTILINE)
"""Between the prompts of a text file."""


def is_promptfoo(body: Mapping[str, Json]) -> bool:
    """Whether this is promptfoo's."""
    return "providers" in body or "targets" in body or "tests" in body


def sweep_of_promptfoo(body: Mapping[str, Json], files: SweepFiles) -> JsonObject:
    """Return the configuration as a sweep is written. Raises `InvalidRequest` with the place."""
    for key in body:
        if key not in KNOWN and key != "$schema":
            raise InvalidRequest(key, "is not supported; " + ", ".join(KNOWN[:5]) + " are")
    repeat = object_at(dict(body), "evaluateOptions").get("repeat", 1)
    if repeat != 1:
        raise InvalidRequest("evaluateOptions.repeat", "give several seeds in settings instead")
    notes: list[Json] = []
    models, settings = _providers(body.get("providers") or body.get("targets"), notes)
    default = _test(body.get("defaultTest") or {}, "defaultTest", files)
    made: JsonObject = {
        "name": str(body.get("description") or "promptfoo"),
        "prompts": list(_prompts(body.get("prompts"), files)),
        "models": list(models),
        "settings": settings,
        "graders": _graders(default, "defaultTest", files, notes),
    }
    rows: list[Json] = []
    for where, test in _tests(body.get("tests"), files):
        own = _graders(test, where, files, notes)
        for values in _combinations(object_at(default, "vars") | object_at(test, "vars"), files):
            rows.append(values | ({"graders": own} if own else {}))
    made["rows"] = rows
    made |= {key: body[key] for key in OWN if key in body}
    made["notes"] = list(dict.fromkeys(map(str, notes)))
    return made


def _providers(value: Json, notes: list[Json]) -> tuple[list[str], JsonObject]:
    models: list[str] = []
    configs: list[JsonObject] = []
    for number, item in enumerate(value if isinstance(value, list) else [value] if value else []):
        where = f"providers[{number}]"
        if isinstance(item, dict) and "id" not in item and len(item) == 1:
            ((provider, options),) = item.items()
            item = {"id": provider, **(options if isinstance(options, dict) else {})}
        name = item if isinstance(item, str) else item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise InvalidRequest(where, "must be a provider's id")
        if name.startswith((PREFIX, "exec:", "python:", "webhook", "http")) or name.endswith(
            PROGRAMS
        ):
            raise InvalidRequest(where, f"{name!r} is not supported: models served here are asked")
        models.append(name.rpartition(":")[2])
        config = object_at(item, "config") if isinstance(item, dict) else {}
        configs.append({SETTINGS[key]: config[key] for key in config if key in SETTINGS})
        dropped = [key for key in config if key not in SETTINGS]
        if dropped:
            notes.append(f"{where}.config: without effect here: {', '.join(dropped)}")
    if any(config != configs[0] for config in configs):
        raise InvalidRequest(
            "providers", "their configs differ; give settings for all of them, or a file for each"
        )
    return list(dict.fromkeys(models)), configs[0] if configs else {}


def _prompts(value: Json, files: SweepFiles) -> Iterator[JsonObject]:
    names: list[str] = []
    items = value if isinstance(value, list) else [value] if value else []
    for number, item in enumerate(items):
        where = f"prompts[{number}]"
        label = ""
        if isinstance(item, dict):
            label = str(item.get("label") or item.get("id") or "")
            item = item.get("raw", item.get("id"))
        if not isinstance(item, str):
            raise InvalidRequest(where, "must be a text, file://…, or an object with raw")
        texts = [item]
        if item.startswith(PREFIX):
            if item.endswith(PROGRAMS):
                raise InvalidRequest(where, f"{item}: programs that make prompts are not run")
            label = label or Path(item).stem
            text = files.text(item, where)
            texts = [text] if item.endswith((".json", ".yaml", ".yml")) else SEPARATOR.split(text)
        for text in filter(None, map(str.strip, texts)):
            name = label or f"prompt {len(names) + 1}"
            name = f"{name} {len(names) + 1}" if name in names else name
            names.append(name)
            yield {"name": name, **_prompt(text, where)}


def _prompt(text: str, where: str) -> JsonObject:
    """A chat written as a list of messages, or else what the user says."""
    if not text.startswith(("[", "- role:")) or "role" not in text:
        return {"user": text}
    messages = parse_document(text, where)
    return {"messages": messages} if isinstance(messages, list) else {"user": text}


def _tests(value: Json, files: SweepFiles) -> Iterator[tuple[str, JsonObject]]:
    if value is None:
        raise InvalidRequest("tests", "there are none")
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        where = f"tests[{number}]"
        if not isinstance(item, str):
            yield where, _test(item, where, files)
            continue
        if not item.startswith(PREFIX) or item.endswith(PROGRAMS):
            raise InvalidRequest(where, f"{item!r} is not supported; a list or file://… is")
        name = Path(item).name
        if item.endswith((".csv", ".tsv")):
            for line, cells in rows_of_file(files.path(item, where)):
                yield f"{name}: line {line}", _csv_test(cells, f"{name}: line {line}")
        elif item.endswith(".jsonl"):
            for line, row in rows_of_file(files.path(item, where)):
                yield f"{name}: line {line}", _test(row, f"{name}: line {line}", files)
        else:
            tests = files.value(item, where)
            for at, test in enumerate(tests if isinstance(tests, list) else [tests]):
                yield f"{name}[{at}]", _test(test, f"{name}[{at}]", files)


def _test(value: Json, where: str, files: SweepFiles) -> JsonObject:
    if isinstance(value, str) and value.startswith(PREFIX):
        value = files.value(value, where)
    if not isinstance(value, dict):
        raise InvalidRequest(where, "must be an object with vars and assert")
    for key in value:
        if key not in TEST_KEYS:
            raise InvalidRequest(f"{where}.{key}", "is not supported; vars and assert are")
    if object_at(value, "options"):
        raise InvalidRequest(f"{where}.options", "is not supported")
    variables = value.get("vars")
    if isinstance(variables, str):
        variables = files.value(variables, f"{where}.vars")
    if not isinstance(variables, (dict, type(None))):
        raise InvalidRequest(f"{where}.vars", "must be an object")
    return value | {"vars": variables or {}}


def _csv_test(cells: JsonObject, where: str) -> JsonObject:
    asserts: list[Json] = []
    variables: JsonObject = {}
    for name, text in cells.items():
        if re.fullmatch(r"__expected\d*", name):
            if text:
                asserts.append(assertion_of_cell(str(text)))
        elif name in ("__description", "__metadata") or name.startswith("__metadata:"):
            continue
        elif name.startswith("__"):
            raise InvalidRequest(where, f"the column {name} is not supported")
        else:
            variables[name] = text
    return {"vars": variables, "assert": asserts}


def _graders(test: JsonObject, where: str, files: SweepFiles, notes: list[Json]) -> list[Json]:
    asserts = test.get("assert") or []
    if not isinstance(asserts, list):
        raise InvalidRequest(f"{where}.assert", "must be a list")
    return [
        grader_of(item, f"{where}.assert[{number}]", files, notes)
        for number, item in enumerate(asserts)
    ]


def _combinations(variables: JsonObject, files: SweepFiles) -> Iterator[JsonObject]:
    """A list as a variable's value stands for one row for each of its items."""
    names, choices = list(variables), []
    for name, value in variables.items():
        values = value if isinstance(value, list) else [value]
        choices.append([_read(name, item, files) for item in values])
    for combined in itertools.product(*choices):
        yield dict(zip(names, combined, strict=True))


def _read(name: str, value: Json, files: SweepFiles) -> Json:
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return value
    if value.endswith(PROGRAMS):
        raise InvalidRequest(f"vars.{name}", f"{value}: programs are not run")
    return files.text(value, f"vars.{name}").strip()
