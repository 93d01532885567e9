"""Prompts with versions: written, found, labelled, rendered and compared.

    prompts = Prompts(home)
    version = prompts.version("summarize", "production")   # or a number, or None
    version.request({"text": "…"}, model="embedded")       # a `Request`
    version.messages({"text": "…"})                        # its messages alone

The page, the API and the commands call this. Knows no HTTP and no page.
"""

import datetime
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from playground.errors import InvalidRequest, UnknownPrompt
from playground.lab.prompt_content import PromptContent, sampling_of
from playground.lab.prompt_templates import MAX_RENDERED_CHARACTERS, render_template
from playground.protocol import Message, Request, ResponseFormat, Sampling, Tool
from playground.store.prompts import (
    LATEST,
    PROMPT_ID,
    KeptPrompt,
    KeptVersion,
    PromptStore,
)

PROMPT_NAME = re.compile(r"[^\W_][\w.-]{0,127}")
LABEL = re.compile(r"[a-z][a-z0-9._-]{0,63}")
MAX_TAGS, MAX_TAG_CHARACTERS, MAX_MESSAGE_CHARACTERS = 32, 64, 10_000


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version, immutable. ``message`` says what it changed, as a commit's does."""

    prompt_id: str
    name: str
    number: int
    message: str
    created: datetime.datetime
    labels: tuple[str, ...]
    content: PromptContent

    def messages(
        self, variables: Mapping[str, object] | None = None, place: str = "variables"
    ) -> tuple[Message, ...]:
        """Render the messages; one whose text comes out empty is left out.

        Raises `InvalidRequest` below ``place`` for a variable that is missing, unknown or of a
        wrong type, and ``prompt`` where nothing is left or too much comes out.
        """
        return rendered(self.content, variables or {}, place)

    def request(
        self,
        variables: Mapping[str, object] | None = None,
        *,
        model: str = "",
        defaults: Sampling | None = None,
        sampling: Mapping[str, Any] | None = None,
        more: Sequence[Message] = (),
    ) -> Request:
        """Return the request that this version asks: its messages and ``more`` behind them.

        ``model`` is asked in place of the version's own. Settings are ``sampling`` over the
        version's over ``defaults``. Raises `InvalidRequest`.
        """
        request = request_of(
            self.content,
            (*self.messages(variables), *more),
            model=model,
            sampling=sampling_of({**self.content.sampling, **(sampling or {})}, defaults),
        )
        return replace(request, prompt_version=self.reference)

    @property
    def reference(self) -> str:
        """The version as ``NAME@NUMBER``."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt with its versions, the oldest first; ``labels`` maps a label to a number."""

    id: str
    name: str
    created: datetime.datetime
    tags: tuple[str, ...]
    labels: Mapping[str, int]
    versions: tuple[PromptVersion, ...]


class Prompts:
    """The prompts of one home. May be used from any thread, and by several processes."""

    def __init__(self, home: Path, url: str = "") -> None:
        self._store = PromptStore(home, url)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def all(self) -> list[Prompt]:
        """Return every prompt, by name."""
        return [_prompt(kept) for kept in self._store.all()]

    def find(self, reference: str) -> Prompt:
        """Return a prompt by id or name. Raises `UnknownPrompt`."""
        return _prompt(self._store.find(reference))

    def version(self, reference: str, version: int | str | None = None) -> PromptVersion:
        """Return a version by number (3 or "3"), label or ``latest``; None means the one labelled
        ``production``, or the newest without such a label. Raises `UnknownPrompt`."""
        return _version(self._store.find(reference).version(version))

    def reference_of(self, content: PromptContent) -> str:
        """Return the version that says this as ``NAME@NUMBER``, the newest if there are several;
        empty if none does."""
        same = [
            version
            for prompt in self.all()
            for version in prompt.versions
            if version.content == content
        ]
        return max(same, key=lambda version: version.created).reference if same else ""

    def create(
        self, name: str, content: PromptContent, message: str = "", tags: Sequence[str] = ()
    ) -> PromptVersion:
        """Store a prompt under a new name; returns its version 1. Raises `InvalidRequest`, and
        `Conflict` if the name is taken."""
        checked = _name(name)
        kept = self._store.create(checked, content.to_json(), _message(message), _tags(tags))  # type: ignore[arg-type]
        return _version(kept.versions[0])

    def save(self, reference: str, content: PromptContent, message: str = "") -> PromptVersion:
        """Store the next version. Raises `UnknownPrompt`; `InvalidRequest` if nothing changed."""
        newest = self._store.find(reference).versions[-1]
        if PromptContent.from_json(newest.content) == content:
            raise InvalidRequest(
                "content", f"is that of version {newest.number}; nothing changed since"
            )
        return _version(self._store.add_version(reference, content.to_json(), _message(message)))  # type: ignore[arg-type]

    def label(self, reference: str, label: str, version: int | str) -> Prompt:
        """Point a label at a version. Raises `UnknownPrompt` and `InvalidRequest`."""
        if not LABEL.fullmatch(label) or label == LATEST:
            problem = f"{label[:100]!r} is no label: lower case, digits and . _ -, not {LATEST!r}"
            raise InvalidRequest("label", problem)
        number = self._store.find(reference).version(version).number
        self._store.label(reference, label, number)
        return self.find(reference)

    def remove_label(self, reference: str, label: str) -> Prompt:
        """Take a label away. Raises `UnknownPrompt`."""
        self._store.remove_label(reference, label)
        return self.find(reference)

    def change(
        self, reference: str, name: str | None = None, tags: Sequence[str] | None = None
    ) -> Prompt:
        """Rename a prompt, or give it other tags. Raises `UnknownPrompt`, `InvalidRequest` and
        `Conflict`."""
        new_name = None if name is None else _name(name)
        new_tags = None if tags is None else _tags(tags)
        return _prompt(self._store.change(reference, new_name, new_tags))

    def delete(self, reference: str) -> None:
        """Remove a prompt with all its versions. Raises `UnknownPrompt`."""
        self._store.delete(reference)

    def exists(self, reference: str) -> bool:
        """Return whether there is a prompt of this id or name."""
        try:
            self._store.find(reference)
        except UnknownPrompt:
            return False
        return True


def rendered(
    content: PromptContent, variables: Mapping[str, object], place: str = "variables"
) -> tuple[Message, ...]:
    """Render a content that need not be stored; see `PromptVersion.messages`."""
    values = content.values(variables, place)
    messages, size = [], 0
    for number, template in enumerate(content.messages):
        text = render_template(template.content, values, f"messages[{number}].content")
        size += len(text)
        if size > MAX_RENDERED_CHARACTERS:
            problem = f"its messages come to more than {MAX_RENDERED_CHARACTERS:,} characters"
            raise InvalidRequest("prompt", problem)
        if text.strip():
            messages.append(Message(template.role, text))
    return tuple(messages)


def request_of(
    content: PromptContent, messages: Sequence[Message], *, model: str, sampling: Sampling
) -> Request:
    """Return a request with the content's tools and schema. Raises `InvalidRequest`."""
    schema = None if content.schema is None else ResponseFormat(content.schema, name="answer")
    return Request(
        model=model or content.model,
        messages=tuple(messages),
        tools=tools_of(content),
        response_format=schema,
        sampling=sampling,
    )


def tools_of(content: PromptContent) -> tuple[Tool, ...]:
    """Return the content's functions."""
    functions: list[Any] = [tool["function"] for tool in content.tools]
    return tuple(
        Tool(
            function["name"],
            function.get("description") or "",
            function.get("parameters"),
            bool(function.get("strict")),
        )
        for function in functions
    )


def shown(content: PromptContent) -> str:
    """Return a content as YAML, in which texts stand line by line: what is compared and read."""
    return dump_yaml(content.to_json())


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison: ``kind`` is same, removed (``old`` alone), added (``new`` alone) or
    changed (both). Line numbers count from 1, None where a side has no line."""

    kind: str
    old: str
    new: str
    old_number: int | None
    new_number: int | None


def unified_diff(old: PromptVersion, new: PromptVersion) -> str:
    """Return how two versions differ, as ``diff -u`` writes it; empty if they are equal."""
    return "".join(
        difflib.unified_diff(
            shown(old.content).splitlines(keepends=True),
            shown(new.content).splitlines(keepends=True),
            f"{old.name} v{old.number}",
            f"{new.name} v{new.number}",
        )
    )


def diff_lines(old: PromptVersion, new: PromptVersion) -> list[DiffLine]:
    """Return two versions side by side, line by line."""
    before, after = shown(old.content).splitlines(), shown(new.content).splitlines()
    lines: list[DiffLine] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        for step in range(max(old_to - old_from, new_to - new_from)):
            old_at, new_at = old_from + step, new_from + step
            has_old, has_new = old_at < old_to, new_at < new_to
            changed = "changed" if has_old and has_new else "removed" if has_old else "added"
            lines.append(
                DiffLine(
                    "same" if tag == "equal" else changed,
                    before[old_at] if has_old else "",
                    after[new_at] if has_new else "",
                    old_at + 1 if has_old else None,
                    new_at + 1 if has_new else None,
                )
            )
    return lines


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def dump_yaml(value: object) -> str:
    """Return a value as YAML, in the order of its keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _name(name: str) -> str:
    if not PROMPT_NAME.fullmatch(name) or name.startswith(PROMPT_ID):
        problem = f"{name[:150]!r}: letters, digits and . _ -, up to 128, a letter or digit first"
        raise InvalidRequest("name", problem)
    return name


def _tags(tags: Sequence[str]) -> list[str]:
    cleaned = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(cleaned) > MAX_TAGS or any(len(tag) > MAX_TAG_CHARACTERS for tag in cleaned):
        raise InvalidRequest("tags", f"{MAX_TAGS} at most, {MAX_TAG_CHARACTERS} characters each")
    return cleaned


def _message(message: str) -> str:
    if len(message) > MAX_MESSAGE_CHARACTERS:
        raise InvalidRequest("message", f"has more than {MAX_MESSAGE_CHARACTERS:,} characters")
    return message.strip()


def _version(kept: KeptVersion) -> PromptVersion:
    return PromptVersion(
        kept.prompt_id,
        kept.name,
        kept.number,
        kept.message,
        kept.created,
        kept.labels,
        PromptContent.from_json(kept.content),
    )


def _prompt(kept: KeptPrompt) -> Prompt:
    versions = tuple(_version(version) for version in kept.versions)
    return Prompt(kept.id, kept.name, kept.created, kept.tags, kept.labels, versions)
