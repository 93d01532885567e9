"""Prompts as YAML files: one document a prompt, with its versions, labels and tags.

Knows no page and no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from playground.errors import InvalidRequest
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompt, Prompts, dump_yaml

MAX_FILE_CHARACTERS = 16 * 1024 * 1024
FIELDS = ("name", "tags", "labels", "versions")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did with one prompt: the numbers of the versions it added."""

    name: str
    created: bool
    added: tuple[int, ...]


def export_prompts(prompts: Sequence[Prompt]) -> str:
    """Return prompts as YAML, which `import_prompts` reads back."""
    return "---\n".join(dump_yaml(_document(prompt)) for prompt in prompts)


def import_prompts(prompts: Prompts, text: str) -> list[Imported]:
    """Store the prompts of a file. Nothing is stored unless the whole file can be read.

    Where a prompt of the name exists, the versions that it does not have follow its own, and the
    labels point at them. Raises `InvalidRequest` with the line, or the document and field.
    """
    documents = [
        _read(value, f"prompt {place}" if place else "prompt")
        for place, value in enumerate(_load(text), start=0)
    ]
    if not documents:
        raise InvalidRequest("file", "holds no prompt")
    return [_store(prompts, *document) for document in documents]


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    message: str
    content: PromptContent


def _document(prompt: Prompt) -> dict[str, object]:
    document: dict[str, object] = {"name": prompt.name}
    if prompt.tags:
        document["tags"] = list(prompt.tags)
    if prompt.labels:
        document["labels"] = dict(prompt.labels)
    document["versions"] = [
        {"version": each.number, "message": each.message, **each.content.to_json()}
        for each in prompt.versions
    ]
    return document


def _load(text: str) -> list[Any]:
    if len(text) > MAX_FILE_CHARACTERS:
        raise InvalidRequest("file", f"has more than {MAX_FILE_CHARACTERS:,} characters")
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):  # a few lines of them make gigabytes
                problem = f"line {token.start_mark.line + 1}: aliases are not supported"
                raise InvalidRequest("file", problem)
        return [value for value in yaml.safe_load_all(text) if value is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRequest("file", f"{where}{error.problem or error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRequest("file", f"is not YAML: {error}") from error


def _read(value: object, place: str) -> tuple[str, list[str], dict[str, int], list[_Version]]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(place, "must have name and versions")
    for key in value:
        if key not in FIELDS:
            raise InvalidRequest(f"{place}.{key}", f"is not known; known: {', '.join(FIELDS)}")
    name, items = value.get("name"), value.get("versions")
    if not isinstance(name, str):
        raise InvalidRequest(f"{place}.name", "is needed")
    if not isinstance(items, list) or not items:
        raise InvalidRequest(f"{place}.versions", "must be a list of at least one version")
    versions = []
    for index, item in enumerate(items):
        at = f"{place}.versions[{index}]"
        if not isinstance(item, Mapping):
            raise InvalidRequest(at, "must be an object")
        fields = dict(item)
        number, message = fields.pop("version", index + 1), fields.pop("message", "") or ""
        if isinstance(number, bool) or not isinstance(number, int):
            raise InvalidRequest(f"{at}.version", f"{number!r} is not a number")
        if not isinstance(message, str):
            raise InvalidRequest(f"{at}.message", "must be text")
        versions.append(_Version(number, message, PromptContent.from_json(fields, at)))
    tags, labels = value.get("tags") or [], value.get("labels") or {}
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidRequest(f"{place}.tags", "must be a list of texts")
    numbers = {version.number for version in versions}
    if not isinstance(labels, Mapping) or not set(labels.values()) <= numbers:
        raise InvalidRequest(f"{place}.labels", "must map labels to versions of this file")
    return name, tags, {str(label): number for label, number in labels.items()}, versions


def _store(
    prompts: Prompts, name: str, tags: list[str], labels: dict[str, int], versions: list[_Version]
) -> Imported:
    is_new, added, numbers = not prompts.exists(name), [], {}
    rest = versions
    if is_new:
        first, *rest = versions
        numbers[first.number] = prompts.create(name, first.content, first.message, tags).number
        added.append(numbers[first.number])
    present = {} if is_new else {each.number: each.content for each in prompts.find(name).versions}
    for version in rest:
        known = [number for number, content in present.items() if content == version.content]
        if known:
            numbers[version.number] = version.number if version.number in known else known[-1]
            continue
        numbers[version.number] = prompts.save(name, version.content, version.message).number
        added.append(numbers[version.number])
    for label, number in labels.items():
        prompts.label(name, label, numbers[number])
    return Imported(name, is_new, tuple(added))
