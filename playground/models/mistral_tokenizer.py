"""Mistral's own tokenizers through mistral-common: V7-Tekken for Mistral Small 3.

Only the chat template makes control tokens: text that looks like one is encoded as text.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import (
    AssistantMessage,
    ChatMessage,
    SystemMessage,
    UserMessage,
)
from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer as CommonTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from pydantic import ValidationError

from playground.errors import InvalidRequest, UnsupportedModel
from playground.models.call_formats import CallFormatName
from playground.models.conversation import renderable
from playground.models.tokenizer import Detokenizer, name_in_text
from playground.protocol import Message, Tool
from playground.protocol.json_types import Json, parse_json

OpenAIMessage: TypeAlias = dict[str, Any]
"""As mistral-common's `ChatCompletionRequest.from_openai` takes it."""
TEKKEN_FILE = "tekken.json"
CALLS_TOKEN = "<TOOL_CALLS>"
CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
CALL_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class MistralTokenizer:
    """A `ChatTokenizer` over a folder's ``tekken.json``. Safe to use from several threads.

    Raises `UnsupportedModel` if the file cannot be read as a tekken vocabulary.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / TEKKEN_FILE
        try:
            common = CommonTokenizer.from_file(str(path))
        except (MistralCommonException, ValueError, KeyError, TypeError) as error:
            raise UnsupportedModel(f"{path} is not a tekken vocabulary: {error}") from error
        vocabulary = common.instruct_tokenizer.tokenizer
        if not isinstance(vocabulary, Tekkenizer):
            raise UnsupportedModel(f"{path} is not a tekken vocabulary")
        self._common: CommonTokenizer[Any, Any, Any, Any, Any] = common
        common.instruct_tokenizer.decode = _no_text  # type: ignore[method-assign]
        self._vocabulary = vocabulary
        settings = vocabulary.model_settings_builder
        self._normalizer = get_normalizer(vocabulary.version, settings)
        special_names = map(vocabulary.id_to_piece, range(vocabulary.num_special_tokens))
        self._control_tokens = {
            token: f"<{name.strip('[]<>')}>" for token, name in enumerate(special_names)
        }
        digest = hashlib.sha256(path.read_bytes())
        self._template_hash = digest.hexdigest()[:16]

    def __reduce__(self) -> tuple[type["MistralTokenizer"], tuple[Path]]:
        """Another process reads the folder again."""
        return MistralTokenizer, (self._folder,)

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens included."""
        return self._vocabulary.n_words

    @property
    def unused_ids(self) -> frozenset[int]:
        """None: every id of a tekken file is a control token or has bytes."""
        return frozenset()

    @property
    def end_ids(self) -> frozenset[int]:
        """The end-of-sequence token."""
        return frozenset({self._vocabulary.eos_id})

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """Mistral's ``[NAME]`` as ``<NAME>``."""
        return self._control_tokens

    @property
    def calls_id(self) -> int | None:
        """``[TOOL_CALLS]``."""
        names = self.control_tokens.items()
        return next((token for token, name in names if name == CALLS_TOKEN), None)

    @property
    def call_format(self) -> CallFormatName | None:
        """Always "mistral"."""
        return "mistral"

    @property
    def template_hash(self) -> str:
        """Hash of tekken.json, whose version decides the template."""
        return self._template_hash

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Render the conversation as mistral-common does for serving, in any order of roles.

        mistral-common's validator is passed over: it refuses orders that the template published
        with the model takes, such as a system message after an answer. An answer at the end that is
        not to be continued, and tools without any user message, are followed by an empty user
        message, because the template begins an answer, and shows tools, only there.
        Raises `InvalidRequest` for a message or a tool that cannot be rendered, and for any
        ``template_kwargs``.
        """
        if template_kwargs:
            problem = f"this model's template has no variables; got {', '.join(template_kwargs)}"
            raise InvalidRequest("chat_template_kwargs", problem)
        conversation = [
            name_in_text(message) for message in renderable(messages, continue_final=continue_final)
        ]
        if continue_final:
            conversation[-1] = messages[-1]
        answered = conversation[-1].role == "assistant"
        asked = any(message.role == "user" for message in conversation)
        if (answered and not continue_final) or (tools and not asked):
            conversation.append(Message("user", ""))
        try:
            request = _request_of(conversation, tools, continue_final=continue_final)
            instruct = self._normalizer.from_chat_completion_request(request)
            tokens: list[int] = self._common.instruct_tokenizer.encode_instruct(instruct).tokens
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(str(part) for part in detail["loc"])
            raise InvalidRequest("messages", f"{where}: {detail['msg']}") from error
        except (MistralCommonException, ValueError) as error:
            raise InvalidRequest("messages", str(error)) from error
        return tokens

    def render_answer(
        self,
        answer: Message,
        messages: Sequence[Message] = (),  # noqa: ARG002
        tools: Sequence[Tool] = (),  # noqa: ARG002
    ) -> list[int]:
        """Render text, calls and the end token; calls have no ids, which the engine assigns."""
        ids = self.encode_plain(answer.content) if answer.content else []
        if answer.tool_calls:
            if self.calls_id is None:
                raise InvalidRequest("messages.tool_calls", "this tokenizer has no tool calls")
            calls: list[Json] = [
                {"name": call.name, "arguments": parse_json(call.arguments)}
                for call in answer.tool_calls
            ]
            written = json.dumps(calls, ensure_ascii=False)
            ids = [*ids, self.calls_id, *self.encode_plain(written)]
        return [*ids, min(self.end_ids)]

    def encode(self, text: str) -> list[int]:
        """Encode ``text`` after the beginning-of-sequence token."""
        return self._vocabulary.encode(text, bos=True, eos=False)

    def encode_plain(self, text: str) -> list[int]:
        """Encode text without a beginning-of-sequence token."""
        return self._vocabulary.encode(text, bos=False, eos=False)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; empty for a control token."""
        if self._vocabulary.is_special(token_id):
            return b""
        return self._vocabulary.id_to_byte_piece(token_id)

    def detokenizer(self) -> Detokenizer:
        """Return a new detokenizer, for one answer."""
        return _ByteDetokenizer(self)


class _ByteDetokenizer:
    """Joins token bytes and emits complete characters."""

    def __init__(self, tokenizer: MistralTokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


def short_call_id(call_id: str) -> str:
    """Map an id to the nine letters or digits that V7 requires of a tool call's id."""
    if CALL_ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode()).digest())
    letters = []
    for _ in range(9):
        number, place = divmod(number, len(CALL_ID_ALPHABET))
        letters.append(CALL_ID_ALPHABET[place])
    return "".join(letters)


def _no_text(*_: object, **__: object) -> str:
    """Stand in for mistral-common's text of the tokens, which nobody reads and which takes a third
    of the time (log: "Checking 100 MB of rows, again")."""
    return ""


def _request_of(
    messages: Sequence[Message], tools: Sequence[Tool], *, continue_final: bool
) -> ChatCompletionRequest[ChatMessage]:
    """Return mistral-common's request; plain text without its conversion from OpenAI's form, which
    takes as long as tokenizing."""
    if tools or any(message.tool_calls or message.role == "tool" for message in messages):
        return ChatCompletionRequest.from_openai(
            messages=[_with_short_ids(message.to_openai()) for message in messages],
            tools=[tool.to_openai() for tool in tools] or None,
            continue_final_message=continue_final,
        )
    last = len(messages) - 1
    plain = [
        _plain_message(message, is_prefix=continue_final and place == last)
        for place, message in enumerate(messages)
    ]
    return ChatCompletionRequest.model_construct(messages=plain)


def _plain_message(message: Message, *, is_prefix: bool) -> ChatMessage:
    if message.role == "system":
        return SystemMessage(content=message.content)
    if message.role == "user":
        return UserMessage(content=message.content)
    return AssistantMessage(content=message.content, prefix=is_prefix)


def _with_short_ids(message: OpenAIMessage) -> OpenAIMessage:
    for call in message.get("tool_calls", ()):
        call["id"] = short_call_id(call["id"])
    if "tool_call_id" in message:
        message["tool_call_id"] = short_call_id(message["tool_call_id"])
    return message
