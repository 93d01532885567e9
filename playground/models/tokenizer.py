"""What every tokenizer here can do: render a conversation to token ids, and turn ids into text.

The engine and the trainer see only this protocol; mistral-common's V7-Tekken and transformers'
chat templates stand behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from playground.models.call_formats import CallFormatName
from playground.protocol import Message, Tool


class Detokenizer(Protocol):
    """Turns one answer's token ids into text as they come."""

    def push(self, token_id: int) -> str:
        """The text that became whole with this token: never half a character, never a control
        token."""
        ...

    def flush(self) -> str:
        """What is still held back at the end; an unfinished character becomes U+FFFD."""
        ...


class ChatTokenizer(Protocol):
    """Renders conversations to token ids.

    ``end_ids`` end an answer; ``template_hash`` identifies the rendering, so that an adapter can
    be checked against it.
    """

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens included."""
        ...

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """Control tokens by id, in angle brackets as grammars write them: ``<TOOL_CALLS>``."""
        ...

    @property
    def calls_id(self) -> int | None:
        """The control token after which an answer is a JSON array of tool calls, if the model
        was trained on one.
        """
        ...

    @property
    def call_format(self) -> CallFormatName | None:
        """How the rendering writes tool calls; None if it has none."""
        ...

    @property
    def template_hash(self) -> str:
        """Hash of everything that decides the rendering."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
    ) -> list[int]:
        """Token ids of the conversation, ready for the assistant to answer.

        Text that looks like a control token stays text. Raises `InvalidRequest` where the
        template has no place for a message.
        """
        ...

    def render_answer(
        self, answer: Message, messages: Sequence[Message] = (), tools: Sequence[Tool] = ()
    ) -> list[int]:
        """Token ids that the assistant has to write after ``render(messages, tools)`` for its
        message ``answer``, an end token last: what training learns.

        Raises `InvalidRequest` where the template has no place for it.
        """
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids of raw text after the beginning-of-sequence token, if the model has one."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of a piece of text, with nothing before or after."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; empty for a control token."""
        ...

    def detokenizer(self) -> Detokenizer:
        """A fresh detokenizer for one answer."""
        ...
