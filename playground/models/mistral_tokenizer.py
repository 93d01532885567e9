"""Mistral's own tokenizers through mistral-common: versions 1 to 15, Tekken and SentencePiece.

Only the chat template makes control tokens: text that looks like one is encoded as text.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from mistral_common.protocol.instruct.request import (
    ChatCompletionRequest,
    InstructRequest,
    JsonSchema,
    ResponseFormat,
    ResponseFormats,
)
from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV1
from pydantic import ValidationError

from playground.errors import InvalidRequest, UnsupportedModel
from playground.models.call_formats import CALLS_TOKEN, CallFormatName
from playground.models.conversation import renderable, without_reasoning
from playground.models.mistral_versions import version_of
from playground.models.mistral_vocabulary import (
    ByteDetokenizer,
    PieceVocabulary,
    control_names,
    find_file,
    read_file,
    vocabulary_of,
)
from playground.models.tokenizer import Detokenizer, Thinking, name_in_text
from playground.protocol import Message, Tool

OpenAIMessage: TypeAlias = dict[str, Any]
"""As mistral-common's `ChatCompletionRequest.from_openai` takes it."""
THINK_TOKENS = ("<THINK>", "</THINK>")
TURNS = ("user", "assistant")
NO_ID = "null"
"""The id of a call that is learned, in mistral-common's words: it is not rendered."""
CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
CALL_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class MistralTokenizer:
    """A `ChatTokenizer` over a folder's ``tekken.json`` or ``tokenizer.model.vN``. Safe to use from
    several threads.

    Raises `UnsupportedModel` if the file cannot be read, or has a version that is not known.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = find_file(folder)
        if path is None:
            raise UnsupportedModel(f"{folder} has neither tekken.json nor tokenizer.model.vN")
        common = read_file(path)
        tokenizer = common.instruct_tokenizer.tokenizer
        instruct = common.instruct_tokenizer
        assert isinstance(instruct, InstructTokenizerV1)  # which all versions derive from
        self._instruct: InstructTokenizerV1[Any, Any, Any] = instruct
        instruct.decode = _no_text  # type: ignore[method-assign]
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary_of(tokenizer, path)
        is_pieces = isinstance(self._vocabulary, PieceVocabulary)
        self._version = version_of(tokenizer.version.value, path, sentencepiece=is_pieces)
        self._settings = tokenizer.model_settings_builder if self._version.has_settings else None
        if self._version.has_settings and self._settings is None:
            raise UnsupportedModel(f"{path} has no model_settings_builder, which its version needs")
        self._normalizer = get_normalizer(tokenizer.version, self._settings)
        self._blank: ChatCompletionRequest[ChatMessage] = ChatCompletionRequest.model_construct(
            messages=[]
        )
        self._blank_instruct: InstructRequest[Any, Any] = InstructRequest(messages=[])
        self._control_tokens = control_names(tokenizer)
        self._id_of = {name: token for token, name in self._control_tokens.items()}
        self._thinking = self._find_thinking()
        self._template_hash = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def __reduce__(self) -> tuple[type["MistralTokenizer"], tuple[Path]]:
        """Another process reads the folder again."""
        return MistralTokenizer, (self._folder,)

    def _find_thinking(self) -> Thinking | None:
        begin, end = (self._id_of.get(name) for name in THINK_TOKENS)
        if not self._version.thinks or begin is None or end is None:
            return None
        return Thinking(begin, end, self._version.thinks_before_format)

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens included."""
        return self._tokenizer.n_words

    @property
    def unused_ids(self) -> frozenset[int]:
        """None: every id is a control token or has bytes."""
        return frozenset()

    @property
    def end_ids(self) -> frozenset[int]:
        """The end-of-sequence token."""
        return frozenset({self._tokenizer.eos_id})

    @property
    def prefix_id(self) -> int:
        """The beginning-of-sequence token."""
        return int(self._tokenizer.bos_id)

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """Mistral's ``[NAME]`` as ``<NAME>``."""
        return self._control_tokens

    @property
    def calls_id(self) -> int | None:
        """``[TOOL_CALLS]``; None in version 1."""
        return self._id_of.get(CALLS_TOKEN) if self.call_format else None

    @property
    def call_format(self) -> CallFormatName | None:
        """That of the version; version 1 has none."""
        return self._version.call_format

    @property
    def text_prefix(self) -> str:
        """SentencePiece's space."""
        return self._vocabulary.text_prefix

    @property
    def thinking(self) -> Thinking | None:
        """``[THINK]`` and ``[/THINK]``, from version 13 on, where the vocabulary has them."""
        return self._thinking

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """Those that the file allows, from version 15 on."""
        builder = self._settings.reasoning_effort if self._settings else None
        return tuple(str(effort) for effort in builder.values) if builder else ()

    @property
    def shows_schema(self) -> bool:
        """Whether the file's model settings have the answer's schema."""
        return bool(self._settings and self._settings.json_schema)

    @property
    def template_hash(self) -> str:
        """Hash of the file, whose version decides the template."""
        return self._template_hash

    def remember_words(self) -> None:
        """Do so for Tekken's vocabularies."""
        self._vocabulary.remember_words()

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
        not to be continued, and tools or settings without any user message, are followed by an
        empty user message, because the template begins an answer, and shows tools, only there. What
        the version has no form for is left out: reasoning, and text beside calls.
        Raises `InvalidRequest` for a message or a tool that cannot be rendered, and for
        ``template_kwargs`` other than the version's settings.
        """
        settings = self._checked_settings(template_kwargs or {})
        held = messages if self._thinking else without_reasoning(messages)
        conversation = [
            name_in_text(message) for message in renderable(held, continue_final=continue_final)
        ]
        if continue_final:
            conversation[-1] = held[-1]
        answered = conversation[-1].role == "assistant"
        asked = any(message.role == "user" for message in conversation)
        if (answered and not continue_final) or ((tools or settings) and not asked):
            conversation.append(Message("user", ""))
        request = self._normalized(conversation, tools, settings, continue_final=continue_final)
        try:
            tokens: list[int] = self._instruct.encode_instruct(request).tokens
        except (MistralCommonException, ValueError) as error:
            raise InvalidRequest("messages", str(error)) from error
        return tokens

    def render_answer(
        self,
        answer: Message,
        messages: Sequence[Message] = (),  # noqa: ARG002
        tools: Sequence[Tool] = (),  # noqa: ARG002
    ) -> list[int]:
        """Render reasoning, text, calls and the end token as mistral-common does for training;
        calls have no ids, which the engine assigns. Reasoning that the version has no form for is
        left out; for calls, and text beside them, that it has none for, `InvalidRequest` is raised.
        """
        version = self._version
        if answer.tool_calls and self.calls_id is None:
            raise InvalidRequest("messages.tool_calls", "this tokenizer has no tool calls")
        if answer.tool_calls and answer.content and not version.text_beside_calls:
            raise InvalidRequest("messages.content", "this template has no text beside calls")
        if len(answer.tool_calls) > 1 and version.max_results == 1:
            raise InvalidRequest("messages.tool_calls", "this template has one call an answer")
        held = answer
        if answer.reasoning and not self._thinking:
            held = replace(answer, reasoning="")
        if not (held.content or held.tool_calls or held.reasoning):
            return sorted(self.end_ids)
        last = self._normalized_answer(held)
        if self._version.call_format in ("mistral_v3", "mistral", "mistral_v11"):
            for call in last.tool_calls or ():
                call.id = NO_ID
        try:
            tokens: list[int] = self._instruct.encode_assistant_message(
                last, is_before_last_user_message=False
            )
        except (MistralCommonException, ValueError) as error:
            raise InvalidRequest("messages", str(error)) from error
        return tokens

    def _normalized_answer(self, answer: Message) -> AssistantMessage:
        """Return mistral-common's message; plain text is one already, and stays as it is."""
        if _is_plain(answer):
            return AssistantMessage(content=answer.content)
        last = self._normalized([Message("user", "?"), answer], (), {}).messages[-1]
        assert isinstance(last, AssistantMessage)
        return last

    def _checked_settings(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the version's settings as mistral-common's request has them."""
        if not variables:
            return {}
        known = {"reasoning_effort": bool(self.reasoning_efforts), "json_schema": self.shows_schema}
        unknown = [name for name in variables if not known.get(name)]
        if unknown:
            problem = f"this model's template has no variable {', '.join(unknown)}"
            raise InvalidRequest("chat_template_kwargs", problem)
        settings: dict[str, Any] = {}
        effort, schema = variables.get("reasoning_effort"), variables.get("json_schema")
        if effort is not None:
            if effort not in self.reasoning_efforts:
                allowed = ", ".join(self.reasoning_efforts)
                raise InvalidRequest("reasoning_effort", f"{effort!r} is none of {allowed}")
            settings["reasoning_effort"] = effort
        if schema is not None:
            try:
                named = JsonSchema.model_validate({"name": "answer", "schema": schema})
            except (ValidationError, TypeError) as error:
                raise InvalidRequest("response_format", f"no schema of draft 7: {error}") from error
            settings["response_format"] = ResponseFormat(
                type=ResponseFormats.json_schema, json_schema=named
            )
        return settings

    def _normalized(
        self,
        conversation: Sequence[Message],
        tools: Sequence[Tool],
        settings: Mapping[str, Any],
        *,
        continue_final: bool = False,
    ) -> InstructRequest[Any, Any]:
        """Return mistral-common's request. Raises `InvalidRequest`."""
        names = {call.id: call.name for message in conversation for call in message.tool_calls}
        try:
            if self._is_normal(conversation, tools):
                messages = _plain_messages(conversation, continue_final=continue_final)
                return self._blank_instruct.model_copy(update={"messages": messages})
            if tools or settings or not all(map(_is_plain, conversation)):
                request = ChatCompletionRequest.from_openai(
                    messages=[self._openai(message, names) for message in conversation],
                    tools=[tool.to_openai() for tool in tools] or None,
                    continue_final_message=continue_final,
                    **settings,
                )
            else:
                request = self._plain_request(conversation, continue_final=continue_final)
            normalized: InstructRequest[Any, Any] = self._normalizer.from_chat_completion_request(
                request
            )
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(str(part) for part in detail["loc"])
            raise InvalidRequest("messages", f"{where}: {detail['msg']}") from error
        except (MistralCommonException, ValueError) as error:
            raise InvalidRequest("messages", str(error)) from error
        return normalized

    def _is_normal(self, conversation: Sequence[Message], tools: Sequence[Tool]) -> bool:
        """Whether mistral-common's normalizer would change nothing: plain questions and answers in
        turn. It takes as long as tokenizing."""
        return (
            not tools
            and self._settings is None
            and all(
                message.role == TURNS[place % 2] and message.content and _is_plain(message)
                for place, message in enumerate(conversation)
            )
        )

    def _plain_request(
        self, messages: Sequence[Message], *, continue_final: bool
    ) -> ChatCompletionRequest[ChatMessage]:
        """Return mistral-common's request of plain text, without its conversion from OpenAI's form
        and without setting its defaults anew, which take as long as tokenizing."""
        plain = _plain_messages(messages, continue_final=continue_final)
        return self._blank.model_copy(update={"messages": plain})

    def _openai(self, message: Message, names: Mapping[str, str]) -> OpenAIMessage:
        """The message with short ids, results with the names of their calls, which version 2 shows,
        and without text beside calls where the version has no form for it.
        """
        if message.tool_calls and message.content and not self._version.text_beside_calls:
            message = replace(message, content="")
        if message.role == "tool" and not message.name:
            message = replace(message, name=names.get(message.tool_call_id or ""))
        return _with_short_ids(message.to_openai())

    def encode(self, text: str) -> list[int]:
        """Encode ``text`` after the beginning-of-sequence token."""
        return self._tokenizer.encode(text, bos=True, eos=False)

    def encode_plain(self, text: str) -> list[int]:
        """Encode text as it goes on after other text: no beginning-of-sequence token, and no space
        that SentencePiece puts before a text.
        """
        return self._vocabulary.encode_plain(text)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; empty for a control token."""
        return self._vocabulary.token_bytes(token_id)

    def detokenizer(self, *, continues: bool = False) -> Detokenizer:
        """Return a new detokenizer, for one answer, or for text that ``continues`` other text."""
        return ByteDetokenizer(self._vocabulary, "" if continues else self.text_prefix)


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


def _is_plain(message: Message) -> bool:
    return not (message.tool_calls or message.reasoning or message.role == "tool")


def _plain_messages(messages: Sequence[Message], *, continue_final: bool) -> list[ChatMessage]:
    last = len(messages) - 1
    return [
        _plain_message(message, is_prefix=continue_final and place == last)
        for place, message in enumerate(messages)
    ]


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
