"""A request's prompt in token ids: the conversation as the chat template renders it, and before it
what the template does not show the model: the schema of its answer, and tools.

Knows no grammar and no engine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from playground.errors import InvalidRequest
from playground.models.call_formats import CallFormatName
from playground.models.conversation import calls_as_text
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Message, Request, ResponseFormat, Tool
from playground.structured.keywords import Schema, rebuilt

SchemaInPrompt = Literal["auto", "on", "off"]
"""Whether the model is shown its answer's schema; ``auto``: unless it would fill the context."""
SCHEMA_TEXT = "Return JSON that matches this schema: {schema}"
SCHEMA_TEXT_WITH_TOOLS = (
    "Unless you call a function, return JSON that matches this schema: {schema}"
)
TOOLS_TEXT = """You may call these functions; their parameters are JSON schemas.
<tools>
{tools}
</tools>
To call a function, write its name and its arguments as JSON:
<tool_call>
{{"name": "…", "arguments": {{…}}}}
</tool_call>"""
DESCRIBED_CALLS: CallFormatName = "hermes"
"""How calls are written where the chat template does not say: as in `TOOLS_TEXT`."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and whether the schema of the answer was put before the conversation."""

    token_ids: list[int]
    shows_schema: bool = False


@dataclass(frozen=True, slots=True)
class PromptRenderer:
    """Renders prompts for one model.

    Where ``schema_in_prompt`` is "auto", a schema of more characters than the context has tokens
    is left out: it would take about a third of it.
    """

    tokenizer: ChatTokenizer
    context_length: int
    schema_in_prompt: SchemaInPrompt = "auto"

    def render(self, request: Request) -> Prompt:
        """The prompt as the model is given it. Raises `InvalidRequest`."""
        tokenizer = self.tokenizer
        if isinstance(request.prompt, str):
            return Prompt(tokenizer.encode(request.prompt))
        if request.prompt is not None:
            for token_id in request.prompt:
                if not 0 <= token_id < tokenizer.vocabulary_size:
                    raise InvalidRequest("prompt", f"{token_id} is not a token id of this model")
            return Prompt(list(request.prompt))
        messages: Sequence[Message] = request.messages
        tools = request.tools
        shown: list[str] = []
        if tokenizer.call_format is None:
            messages = calls_as_text(messages)
            shown += [_tools_text(tools)] if tools else []
            tools = ()
        schema = self._schema_text(request)
        variables = self._variables(request)
        in_settings = "json_schema" in variables
        shown += [schema] if schema and not in_settings else []
        before = "\n\n".join(shown)
        if before:  # at the end of the system message, which begins the conversation
            system = [message for message in messages[:1] if message.role == "system"]
            told = "\n\n".join([*(message.content for message in system), before])
            messages = [Message("system", told), *messages[len(system) :]]
        ids = tokenizer.render(
            messages,
            tools,
            continue_final=request.continue_final,
            template_kwargs=variables,
        )
        return Prompt(ids, shows_schema=bool(schema) or in_settings)

    def _variables(self, request: Request) -> dict[str, Any]:
        """The template's variables: the client's own, and those that it has for the effort and for
        the answer's schema.
        """
        variables = dict(request.template_kwargs)
        if request.reasoning_effort and self.tokenizer.reasoning_efforts:
            variables["reasoning_effort"] = request.reasoning_effort
        form = request.response_format
        told = self.schema_in_prompt != "off" and request.tool_choice.mode != "required"
        if form and form.kind == "schema" and told and self.tokenizer.shows_schema:
            variables["json_schema"] = dict(form.schema)
        return variables

    def _schema_text(self, request: Request) -> str:
        """What is said of the answer's schema; empty where nothing is to be said, or where the
        conversation holds the schema.
        """
        form = request.response_format
        if form is None or self.schema_in_prompt == "off" or request.tool_choice.mode == "required":
            return ""
        if set(form.schema) <= {"type", "title"} and not form.description:
            return ""
        schema = json.dumps(form.schema, ensure_ascii=False)
        if self.schema_in_prompt == "auto" and len(schema) > self.context_length:
            return ""
        if any(schema in message.content for message in request.messages):
            return ""
        text = SCHEMA_TEXT_WITH_TOOLS if request.tools else SCHEMA_TEXT
        shown = json.dumps(_without_names_as_titles(dict(form.schema)), ensure_ascii=False)
        return text.format(schema=shown) + _about(form)


def _about(form: ResponseFormat) -> str:
    """The schema's name and description, as far as they are given."""
    parts = [part for part in (form.name, form.description) if part]
    return f"\nThe schema is {': '.join(parts)}" if parts else ""


def _without_names_as_titles(schema: Schema) -> Schema:
    """The schema without titles that repeat a property's name, as pydantic writes them."""

    def change(node: Schema) -> Schema:
        for key in ("properties", "$defs"):
            inside = node.get(key)
            if isinstance(inside, dict):
                node[key] = {name: _untitled(name, inner) for name, inner in inside.items()}
        return node

    return rebuilt(schema, change)


def _untitled(name: str, schema: Any) -> Any:
    if isinstance(schema, dict) and _letters(schema.get("title")) == _letters(name):
        return {key: value for key, value in schema.items() if key != "title"}
    return schema


def _letters(text: object) -> str:
    return str(text).replace("_", "").replace(" ", "").casefold()


def _tools_text(tools: Sequence[Tool]) -> str:
    lines = (json.dumps(tool.to_openai()["function"], ensure_ascii=False) for tool in tools)
    return TOOLS_TEXT.format(tools="\n".join(lines))
