"""Contexts and continuations as token ids, as lm-eval's `hf` model makes them.

Asks a backend for token ids; scores nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from playground.errors import InvalidRequest
from playground.protocol import Message, PromptTokenizer, Request
from playground.protocol.json_types import Json


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation that an answer follows; with ``continues`` the answer has begun already, in
    its last message."""

    messages: tuple[Message, ...]
    continues: bool = False


Context: TypeAlias = str | Chat
"""What precedes a continuation: text as it is, or a conversation in the model's chat template."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Token ids of a continuation, and of what precedes it."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


def context_json(context: Context) -> Json:
    """Return a context as JSON."""
    if isinstance(context, str):
        return context
    messages: list[Json] = [[each.role, each.content] for each in context.messages]
    return {"messages": messages, "continues": context.continues}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids as one model's tokenizer makes them."""

    backend: PromptTokenizer
    model: str

    async def of_text(self, text: str) -> tuple[int, ...]:
        """Encode text, after the beginning-of-sequence token if the model has one."""
        if not text:
            return ()
        return tuple(await self.backend.prompt_ids(Request(self.model, prompt=text)))

    async def of_chat(self, chat: Chat) -> tuple[int, ...]:
        """Encode a conversation up to where its answer begins or goes on."""
        request = Request(self.model, chat.messages, continue_final=chat.continues)
        return tuple(await self.backend.prompt_ids(request))

    async def prefix_id(self) -> int:
        """The token before a text that nothing precedes. Raises `InvalidRequest` if nobody tells
        it."""
        prefix = await self.backend.prefix_id(self.model)
        if prefix is None:
            raise InvalidRequest("model", "its server does not say which token begins a text")
        return prefix

    async def pair(self, context: Context, continuation: str) -> TokenPair:
        """Encode both together and split where the context ends. White space at the context's end
        goes to the continuation, whose first token it is mostly a part of."""
        if isinstance(context, Chat):
            return await self._chat_pair(context, continuation)
        if not context:
            return await self._alone(continuation)
        kept = context.rstrip()
        if not kept:
            return await self._alone(context + continuation)
        whole = await self.of_text(context + continuation)
        before = await self.of_text(kept)
        return TokenPair(before, whole[len(before) :])

    async def _alone(self, text: str) -> TokenPair:
        prefix, ids = await self.prefix_id(), await self.of_text(text)
        if ids and ids[0] == prefix:
            return TokenPair(ids[:1], ids[1:])
        return TokenPair((prefix,), ids)

    async def _chat_pair(self, chat: Chat, continuation: str) -> TokenPair:
        """Encode the continuation as the beginning of the answer, in the model's own template."""
        before = await self.of_chat(chat)
        *earlier, last = chat.messages
        begun = Chat((*chat.messages, Message("assistant", continuation)), continues=True)
        if chat.continues:
            longer = replace(last, content=last.content + continuation)
            begun = Chat((*earlier, longer), continues=True)
        whole = await self.of_chat(begun)
        if whole[: len(before)] != before:
            raise InvalidRequest(
                "apply_chat_template",
                "the model's template shows an answer that has begun otherwise than its prompt",
            )
        return TokenPair(before, whole[len(before) :])


def rolling_windows(ids: Sequence[int], prefix: int, length: int) -> Iterator[TokenPair]:
    """Split a text so that each token is predicted once, with as much before it as fits.

    ``length`` is the most tokens that are read at once; ``prefix`` precedes the first one.
    """
    tokens = tuple(ids)
    if tokens:
        yield TokenPair((prefix,), tokens[:length])
    done = length
    while done < len(tokens):
        end = min(done + length, len(tokens))
        yield TokenPair(tokens[end - length - 1 : done], tokens[done:end])
        done = end
