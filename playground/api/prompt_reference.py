"""``prompt: {id, version, variables}`` of ``/v1/responses``: the stored prompt, rendered, and what
it sets put into the body where the client sent nothing itself.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from playground.api.errors import Refused
from playground.errors import InvalidRequest, UnknownPrompt
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
from playground.protocol.json_types import JsonObject
from playground.store.uploads import Uploads

OF_RESPONSES = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_output_tokens"}
"""Settings by their names in a response; the others have chat's."""
MAX_FILE_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class UsedPrompt:
    """A rendered prompt: messages in chat's form, and settings that a response has no name for.

    ``shown`` is what the response says of it, ``reference`` is ``NAME@VERSION``.
    """

    messages: list[JsonObject] = field(default_factory=list)
    settings: JsonObject = field(default_factory=dict)
    shown: JsonObject | None = None
    reference: str = ""


NO_PROMPT = UsedPrompt()


@dataclass(frozen=True, slots=True)
class PromptReferences:
    """Resolves references. Without ``prompts`` each is refused."""

    prompts: Prompts | None = None
    uploads: Uploads | None = None

    def resolve(self, body: JsonObject) -> tuple[JsonObject, UsedPrompt]:
        """Return the body without its reference, and the prompt.

        Raises `Refused` with 400 or 404, naming the prompt, version or variable.
        """
        reference = body.get("prompt")
        rest = {name: value for name, value in body.items() if name != "prompt"}
        if reference is None:
            return rest, NO_PROMPT
        if self.prompts is None:
            problem = "prompt: no prompts are stored here; send instructions and input"
            raise Refused(400, "unsupported_parameter", problem, "prompt")
        prompt_id, version, variables = _fields(reference)
        try:
            found = self.prompts.version(prompt_id, version)
        except UnknownPrompt as error:
            param = "prompt.version" if error.is_version else "prompt.id"
            raise Refused(404, error.code, f"{param}: {error.message}", param) from error
        values = {name: self._value(name, value) for name, value in variables.items()}
        messages = found.messages(values, "prompt.variables")
        used = UsedPrompt(
            [message.to_openai() for message in messages],
            {k: v for k, v in found.content.sampling.items() if k not in OF_RESPONSES},
            {"id": found.prompt_id, "version": str(found.number), "variables": variables or None},
            found.reference,
        )
        return _defaults(found.content) | rest, used

    def _value(self, name: str, value: object) -> object:
        """The text of a variable that is sent as an input item; others as they are."""
        if not isinstance(value, Mapping):
            return value
        place, kind = f"prompt.variables.{name}", value.get("type")
        if kind == "input_text" and isinstance(value.get("text"), str):
            return value["text"]
        if kind != "input_file":
            problem = f"{kind!r} is not supported; send text, input_text or input_file"
            raise InvalidRequest(f"{place}.type", problem)
        data = self._file(value, place)
        if len(data) > MAX_FILE_BYTES:
            raise InvalidRequest(place, f"the file has more than {MAX_FILE_BYTES:,} bytes")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest(place, "the file is not text in UTF-8") from error

    def _file(self, value: Mapping[object, object], place: str) -> bytes:
        sent, file_id = value.get("file_data"), value.get("file_id")
        if isinstance(sent, str):
            try:
                return base64.b64decode(sent.rpartition("base64,")[2], validate=True)
            except binascii.Error as error:
                raise InvalidRequest(f"{place}.file_data", "is not base64") from error
        if isinstance(file_id, str) and self.uploads is not None:
            path: Path = self.uploads.find(file_id).path
            with path.open("rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
        raise InvalidRequest(f"{place}.file_id", "is needed, or file_data")


def _fields(reference: object) -> tuple[str, str | None, JsonObject]:
    if not isinstance(reference, dict):
        raise InvalidRequest("prompt", "must be an object with id, version and variables")
    for name in reference:
        if name not in ("id", "version", "variables"):
            problem = f"unrecognized request argument: prompt.{name}"
            raise Refused(400, "unrecognized_request_argument", problem, f"prompt.{name}")
    prompt_id, version = reference.get("id"), reference.get("version")
    if not isinstance(prompt_id, str):
        raise InvalidRequest("prompt.id", "is needed, as text")
    if version is not None and (isinstance(version, bool) or not isinstance(version, str | int)):
        raise InvalidRequest("prompt.version", "must be text")
    variables = reference.get("variables") or {}
    if not isinstance(variables, dict):
        raise InvalidRequest("prompt.variables", "must be an object")
    return prompt_id, None if version is None else str(version), variables


def _defaults(content: PromptContent) -> JsonObject:
    """The content's settings, tools and schema as a response spells them."""
    body: JsonObject = {"model": content.model} if content.model else {}
    body |= {OF_RESPONSES[k]: v for k, v in content.sampling.items() if k in OF_RESPONSES}
    if content.tools:
        body["tools"] = [
            {"type": "function", **function}
            for tool in content.tools
            if isinstance(function := tool["function"], dict)
        ]
    if content.schema is not None:
        body["text"] = {
            "format": {"type": "json_schema", "name": "answer", "schema": content.schema}
        }
    return body
