"""`ChatTokenizer`: conversations to token ids, and token ids to text.

Engine and trainer see only this protocol. It is implemented with mistral-common (Tekken and
SentencePiece) and with transformers' chat templates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from playground.models.call_formats import CallFormatName
from playground.protocol import Message, Tool


class Detokenizer(Protocol):
    """Decodes the token ids of one answer incrementally."""

    def push(self, token_id: int) -> str:
        """Return the text that this token completes: never half a character or a control token."""
        ...

    def flush(self) -> str:
        """Return the text still held back; an incomplete character becomes U+FFFD."""
        ...


@dataclass(frozen=True, slots=True)
class Thinking:
    """The control tokens around what a model writes before its answer. ``before_format``: it does
    so where the answer has a response format, too.
    """

    begin_id: int
    end_id: int
    before_format: bool = False


class ChatTokenizer(Protocol):
    """Renders conversations to token ids."""

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens and unused ids included. A model may have more."""
        ...

    @property
    def unused_ids(self) -> frozenset[int]:
        """Ids between others that stand for no token; mostly none."""
        ...

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    @property
    def prefix_id(self) -> int:
        """The token before a text that nothing precedes: the beginning of sequence, or the end
        token where there is none.
        """
        ...

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """Control tokens by id, named as in grammars: ``<TOOL_CALLS>``."""
        ...

    @property
    def calls_id(self) -> int | None:
        """The control token that begins tool calls; None if calls are written as text."""
        ...

    @property
    def call_format(self) -> CallFormatName | None:
        """How the chat template writes tool calls; None if it has none."""
        ...

    @property
    def text_prefix(self) -> str:
        """What a text after a control token begins with in tokens, and not in text: SentencePiece's
        space, mostly nothing.
        """
        ...

    @property
    def thinking(self) -> Thinking | None:
        """The thinking block that an answer may begin with; None where the template has none."""
        ...

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """Values of the template's variable ``reasoning_effort``; empty where it has none."""
        ...

    @property
    def shows_schema(self) -> bool:
        """Whether the template has a variable ``json_schema`` for the answer's schema."""
        ...

    @property
    def template_hash(self) -> str:
        """Hash of the chat template, by which an adapter is checked against its base."""
        ...

    def remember_words(self) -> None:
        """Remember the tokens of words from now on, which makes many short texts faster to encode
        and takes some 30 MB; what is encoded stays the same.
        """
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Render the conversation up to where the assistant's answer begins.

        With ``continue_final`` it ends inside the last assistant message instead. A speaker's name
        that the template does not show is put before the text. ``template_kwargs`` are variables
        of the template. Text that looks like a control token stays text. Raises `InvalidRequest`
        for a message that the template cannot render.
        """
        ...

    def render_answer(
        self, answer: Message, messages: Sequence[Message] = (), tools: Sequence[Tool] = ()
    ) -> list[int]:
        """Return the token ids of ``answer`` after ``render(messages, tools)``, with an end token.

        These are the tokens that training computes loss on. Raises `InvalidRequest` for an answer
        that the template cannot render.
        """
        ...

    def encode(self, text: str) -> list[int]:
        """Encode raw text, after the beginning-of-sequence token if the model has one."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """Encode text as it goes on after other text, without a beginning-of-sequence token."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; empty for a control token."""
        ...

    def detokenizer(self, *, continues: bool = False) -> Detokenizer:
        """Return a new detokenizer, for one answer, or for text that ``continues`` other text."""
        ...


def name_in_text(message: Message) -> Message:
    """Return the message with its speaker's name before the text, for templates that have no
    place for it. A tool's result needs none: the call that it answers has the name.
    """
    if not message.name or not message.content or message.role == "tool":
        return message
    return replace(message, content=f"{message.name}: {message.content}", name=None)
