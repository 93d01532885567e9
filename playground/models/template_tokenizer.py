"""Every other model family: transformers' fast tokenizers and their chat templates.

Templates run in transformers' sandboxed Jinja. What users write is kept from becoming control
tokens by taking such strings out of message contents before rendering.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.errors import InvalidRequest, UnsupportedModel
from playground.models.call_formats import CallFormatName
from playground.models.tokenizer import Detokenizer
from playground.protocol import Message, Tool

BYTE_OF: Mapping[str, int] = {stand_in: byte for byte, stand_in in bytes_to_unicode().items()}
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
WORD_JOINER = "\u2060"
"""Put inside a control token's name in a message, so that it reads the same and stays text."""


class TemplateTokenizer:
    """A `ChatTokenizer` over a folder with ``tokenizer.json``.

    ``end_ids`` are the tokenizer's own and those of the model's generation config. Raises
    `UnsupportedModel` if transformers cannot load the folder's tokenizer as a fast one.
    """

    def __init__(self, folder: Path, end_ids: Sequence[int] = ()) -> None:
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (ValueError, OSError, KeyError, ImportError) as error:
            raise UnsupportedModel(f"{folder} has no tokenizer that loads: {error}") from error
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise UnsupportedModel(f"{folder} has no fast tokenizer (tokenizer.json)")
        self._tokenizer = tokenizer
        self._backend: Tokenizer = tokenizer.backend_tokenizer
        self._end_ids = frozenset(end_ids) | (
            {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else frozenset()
        )
        self._special_ids = frozenset(tokenizer.all_special_ids)
        names = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._control = re.compile("|".join(re.escape(name) for name in names) or r"(?!)")
        added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
        markup = sorted(filter(_is_markup, added | set(names)), key=len, reverse=True)
        self._markup = re.compile("|".join(map(re.escape, markup)) or r"(?!)")
        self._added = {at: str(token) for at, token in tokenizer.added_tokens_decoder.items()}
        self._is_byte_level = '"ByteLevel"' in self._backend.to_str()[-100_000:]
        self._template = str(tokenizer.chat_template or "")
        self._template_hash = hashlib.sha256(self._template.encode()).hexdigest()[:16]

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens included."""
        return len(self._tokenizer)

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self._end_ids

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """All special tokens, numbered: their own names may hold anything."""
        return {token: f"<special_{token}>" for token in sorted(self._special_ids)}

    @property
    def calls_id(self) -> int | None:
        """None: these families write their calls as text."""
        return None

    @property
    def call_format(self) -> CallFormatName | None:
        """What the chat template tells the model to write."""
        if "<tool_call>" in self._template:
            return "hermes"
        written = self._template.replace("\\", "")
        return "llama3" if '"parameters":' in written and "tools" in written else None

    @property
    def template_hash(self) -> str:
        """Hash of the chat template."""
        return self._template_hash

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
    ) -> list[int]:
        """Token ids of the conversation through the model's chat template.

        Raises `InvalidRequest` if there is no template or it refuses the conversation.
        """
        text = self._render_text(messages, tools, continue_final=continue_final)
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def render_answer(
        self, answer: Message, messages: Sequence[Message] = (), tools: Sequence[Tool] = ()
    ) -> list[int]:
        """What the template writes after the prompt for this answer, to its first end token.

        Raises `InvalidRequest` if the template does not render the answer after its own prompt.
        """
        prompt = self._render_text(messages, tools)
        whole = self._render_text((*messages, answer), tools, asks=False)
        if not whole.startswith(prompt):
            raise InvalidRequest(
                "messages", "the chat template writes an answer elsewhere than it asks for one"
            )
        ids = list(self._backend.encode(whole[len(prompt) :], add_special_tokens=False).ids)
        ends = [at for at, token in enumerate(ids) if token in self._end_ids]
        return ids[: ends[0] + 1] if ends else [*ids, min(self._end_ids)]

    def _render_text(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        continue_final: bool = False,
        asks: bool = True,
    ) -> str:
        if self._tokenizer.chat_template is None:
            raise InvalidRequest("messages", "this model has no chat template; give it a prompt")
        conversation = [self._as_text(message.to_openai()) for message in messages]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    conversation,
                    tools=[self._as_text(tool.to_openai()) for tool in tools] or None,
                    add_generation_prompt=asks and not continue_final,
                    continue_final_message=continue_final,
                    tokenize=False,
                )
            )
        except (TemplateError, ValueError, TypeError) as error:
            raise InvalidRequest("messages", f"the chat template refuses them: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Raw text as the tokenizer encodes it, with its beginning-of-sequence token if any."""
        return list(self._backend.encode(self._plain(text)).ids)

    def encode_plain(self, text: str) -> list[int]:
        """Without the beginning-of-sequence token."""
        return list(self._backend.encode(self._plain(text), add_special_tokens=False).ids)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token, which may be a part of a character; empty for a control token."""
        if token_id in self._special_ids:
            return b""
        if token_id in self._added:
            return self._added[token_id].encode()
        piece = self._backend.id_to_token(token_id) or ""
        if self._is_byte_level:  # GPT-2's table of printable stand-ins for bytes
            return bytes(BYTE_OF[character] for character in piece if character in BYTE_OF)
        if BYTE_PIECE.fullmatch(piece):  # SentencePiece's fallback
            return bytes([int(piece[3:5], 16)])
        return piece.replace("\u2581", " ").encode()

    def detokenizer(self) -> Detokenizer:
        """A fresh detokenizer for one answer."""
        return _StreamDetokenizer(self._backend)

    def _as_text(self, node: Any) -> Any:
        """What somebody wrote, wherever it stands, with no control token in it. The arguments of
        calls become objects, as chat templates want them.
        """
        if isinstance(node, str):
            return self._markup.sub(_joined, node)
        if isinstance(node, dict):
            return {
                self._as_text(key): self._as_text(
                    json.loads(child) if key == "arguments" and isinstance(child, str) else child
                )
                for key, child in node.items()
            }
        return [self._as_text(each) for each in node] if isinstance(node, list) else node

    def _plain(self, text: str) -> str:
        return self._control.sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    return found[0][0] + WORD_JOINER + found[0][1:]


def _is_markup(name: str) -> bool:
    """Whether an added token is a mark rather than a word or white space."""
    return bool(name) and not name.isspace() and not name.isalnum()


class _StreamDetokenizer:
    """tokenizers' own streaming decoder, and what it holds back at the end."""

    def __init__(self, backend: Tokenizer) -> None:
        self._backend = backend
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending: list[int] = []

    def push(self, token_id: int) -> str:
        self._pending.append(token_id)
        text = self._stream.step(self._backend, token_id)
        if text is None:
            return ""
        self._pending.clear()
        return str(text)

    def flush(self) -> str:
        return str(self._backend.decode(self._pending)) if self._pending else ""
