"""Between the editor's fields and a prompt's content. Knows no component."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import yaml

from playground.errors import InvalidRequest
from playground.lab.prompt_content import PromptContent
from playground.lab.prompt_templates import undeclared
from playground.lab.prompts import dump_yaml
from playground.protocol.json_types import JsonObject

DEFAULT_MODEL = "Any model"
EDITOR_FIELDS = ("system", "user", "others", "variables", "model", "sampling", "schema", "tools")


class EditorForm(TypedDict):
    """The editor's fields; all but system, user and model are YAML."""

    system: str
    user: str
    others: str
    variables: str
    model: str
    sampling: str
    schema: str
    tools: str


EMPTY = EditorForm(
    system="", user="", others="", variables="", model=DEFAULT_MODEL, sampling="", schema="",
    tools="",
)  # fmt: skip


def content_of_form(form: EditorForm) -> PromptContent:
    """Return what the editor holds. Raises `InvalidRequest` naming the field, with its line."""
    for text, name in ((form["system"], "system prompt"), (form["user"], "message")):
        undeclared(text, name)  # by its place in the list it would be nobody's field
    messages = [{"role": "system", "content": form["system"]}] if form["system"].strip() else []
    others = _yaml(form["others"], "more messages")
    if others is not None and not isinstance(others, list):
        raise InvalidRequest("more messages", "must be a list of role and content")
    messages += others or []
    if form["user"].strip():
        messages.append({"role": "user", "content": form["user"]})
    if not messages:
        raise InvalidRequest("message", "is empty; write what the model is asked")
    model = form["model"]
    return PromptContent.from_json(
        {
            "messages": messages,
            "variables": _yaml(form["variables"], "variables") or [],
            "model": "" if model == DEFAULT_MODEL else model or "",
            "sampling": _yaml(form["sampling"], "settings") or {},
            "schema": _yaml(form["schema"], "schema"),
            "tools": _yaml(form["tools"], "tools") or [],
        }
    )


def form_of_content(content: PromptContent) -> EditorForm:
    """Return the fields that `content_of_form` reads back as this content."""
    rest = [{"role": each.role, "content": each.content} for each in content.messages]
    system = rest.pop(0)["content"] if rest[0]["role"] == "system" else ""
    user = rest.pop()["content"] if rest and rest[-1]["role"] == "user" else ""
    return EditorForm(
        system=system,
        user=user,
        others=_shown(rest),
        variables=_shown([variable.to_json() for variable in content.variables]),
        model=content.model or DEFAULT_MODEL,
        sampling=_shown(content.sampling),
        schema=_shown(content.schema),
        tools=_shown(content.tools),
    )


def with_used_variables(system: str, user: str, variables: str) -> str:
    """Return the variables' YAML with those that the texts use and that it does not have.

    Raises `InvalidRequest` for a template or YAML that cannot be read.
    """
    known = _yaml(variables, "variables")
    described = known if isinstance(known, list) else []
    names = {item.get("name") for item in described if isinstance(item, dict)}
    used = [*undeclared(system, "system prompt"), *undeclared(user, "message")]
    new: list[JsonObject] = [
        {"name": name, "type": "text"} for name in dict.fromkeys(used) if name not in names
    ]
    if not new:
        return variables
    return f"{variables.rstrip()}\n{dump_yaml(new)}".lstrip()


def _shown(value: Mapping[str, object] | Sequence[object] | None) -> str:
    if not value:
        return ""
    return dump_yaml(dict(value) if isinstance(value, Mapping) else list(value))


def _yaml(text: str, name: str) -> object:
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise InvalidRequest(name, "YAML aliases are not supported")
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRequest(name, f"{where}{error.problem or error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRequest(name, f"is not YAML: {error}") from error
