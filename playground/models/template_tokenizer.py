"""All other model families: transformers' fast tokenizers and their chat templates.

Knows tokens; what a template makes of a conversation is `playground.models.chat_template`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.errors import UnsupportedModel
from playground.models.call_formats import CallFormatName
from playground.models.chat_template import ChatTemplate, broken_up, use_processor_template
from playground.models.tokenizer import Detokenizer, Thinking
from playground.models.word_cache import Encode, word_by_word
from playground.protocol import Message, Tool

BYTE_OF: Mapping[str, int] = {stand_in: byte for byte, stand_in in bytes_to_unicode().items()}
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
SENTINEL = "\x02"
"""Put before a text that is encoded as after other text; no vocabulary joins it to a letter."""


class TemplateTokenizer:
    """A `ChatTokenizer` over a folder with a ``tokenizer.json``.

    ``end_ids`` are those of the model's generation config; the tokenizer's own is added. Raises
    `UnsupportedModel` if transformers cannot load the folder's tokenizer as a fast one.
    """

    def __init__(self, folder: Path, end_ids: Sequence[int] = ()) -> None:
        self._made_of = (folder, tuple(end_ids))
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (ValueError, OSError, KeyError, ImportError) as error:
            raise UnsupportedModel(f"{folder}: the tokenizer does not load: {error}") from error
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise UnsupportedModel(f"{folder} has no fast tokenizer (tokenizer.json)")
        self._tokenizer = tokenizer
        self._backend: Tokenizer = tokenizer.backend_tokenizer
        self._backend.no_truncation()  # a training may have left both in tokenizer.json
        self._backend.no_padding()
        self._end_ids = frozenset(end_ids) | (
            {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else frozenset()
        )
        self._special_ids = frozenset(tokenizer.all_special_ids)
        names = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._control = re.compile("|".join(re.escape(name) for name in names) or r"(?!)")
        self._added = {index: str(token) for index, token in tokenizer.added_tokens_decoder.items()}
        self._is_byte_level = _is_byte_level(self._backend)
        ids: set[int] = set(tokenizer.get_vocab().values())
        self._vocabulary_size = max(ids, default=-1) + 1
        self._unused_ids = frozenset(range(self._vocabulary_size)) - ids
        self._encode_text: Encode = self._encode_whole
        self._sentinel_ids = self._find_sentinel_ids()
        use_processor_template(folder, tokenizer)
        self._template = ChatTemplate(tokenizer)
        self._template_hash = hashlib.sha256(self._template.source.encode()).hexdigest()[:16]

    def __reduce__(self) -> tuple[type["TemplateTokenizer"], tuple[Path, tuple[int, ...]]]:
        """Another process reads the folder again."""
        return TemplateTokenizer, self._made_of

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, control tokens and unused ids included."""
        return self._vocabulary_size

    @property
    def unused_ids(self) -> frozenset[int]:
        """Ids between others that stand for no token."""
        return self._unused_ids

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self._end_ids

    @property
    def prefix_id(self) -> int:
        """The beginning-of-sequence token, or else an end token."""
        first = self._tokenizer.bos_token_id
        last = self._tokenizer.eos_token_id
        known = [token for token in (first, last) if isinstance(token, int)]
        return known[0] if known else min(self._end_ids, default=0)

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """All special tokens, named by number because their own names may not fit a grammar."""
        return {token: f"<special_{token}>" for token in sorted(self._special_ids)}

    @property
    def calls_id(self) -> int | None:
        """None: these families write tool calls as text."""
        return None

    @property
    def call_format(self) -> CallFormatName | None:
        """How the chat template tells the model to write tool calls; None if it does not."""
        template = self._template.source
        if "<tool_call>" in template:
            return "hermes"
        written = template.replace("\\", "")
        return "llama3" if '"parameters":' in written and "tools" in written else None

    @property
    def text_prefix(self) -> str:
        """Nothing: templates write the text between control tokens as it is."""
        return ""

    @property
    def thinking(self) -> Thinking | None:
        """None: what these families write before an answer is part of its text."""
        return None

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """None: a template's variables have no list of values."""
        return ()

    @property
    def shows_schema(self) -> bool:
        """No template does."""
        return False

    @property
    def template_hash(self) -> str:
        """Hash of the chat template."""
        return self._template_hash

    def remember_words(self) -> None:
        """Do so for byte-level vocabularies; others put a space before each text."""
        if self._is_byte_level:
            self._encode_text = word_by_word(self._encode_whole, self._added.values())

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Render the conversation with the model's chat template.

        Raises `InvalidRequest` if there is no template or it rejects the conversation.
        """
        text = self._template.prompt(
            messages, tools, continue_final=continue_final, template_kwargs=template_kwargs or {}
        )
        return self._encode_text(text)

    def render_answer(
        self, answer: Message, messages: Sequence[Message] = (), tools: Sequence[Tool] = ()
    ) -> list[int]:
        """Render the answer as it follows the prompt, to its first end token.

        Raises `InvalidRequest` if the template does not render the answer right after the prompt.
        """
        ids = self._encode_text(self._template.answer(answer, messages, tools))
        ends = [index for index, token in enumerate(ids) if token in self._end_ids]
        return ids[: ends[0] + 1] if ends else [*ids, min(self._end_ids)]

    def _encode_whole(self, text: str) -> list[int]:
        """Return token ids, without the places in the text that `encode` finds for each."""
        return list(self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def encode(self, text: str) -> list[int]:
        """Encode raw text, after the beginning-of-sequence token if the model has one."""
        return list(self._backend.encode(self._plain(text)).ids)

    def encode_plain(self, text: str) -> list[int]:
        """Encode text as it goes on after other text: no beginning-of-sequence token, and no space
        that the tokenizer puts before a text (SentencePiece's dummy prefix).
        """
        before = SENTINEL if self._sentinel_ids else ""
        ids = self._backend.encode(before + self._plain(text), add_special_tokens=False).ids
        return list(ids[len(self._sentinel_ids) :])

    def _find_sentinel_ids(self) -> list[int]:
        """Tokens of the sentinel where texts get a space before them; empty where they do not."""
        first = self._backend.encode("a", add_special_tokens=False).ids
        if b"".join(map(self.token_bytes, first)) == b"a":
            return []
        return list(self._backend.encode(SENTINEL, add_special_tokens=False).ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token, maybe part of a character; empty for a control token."""
        if token_id in self._special_ids:
            return b""
        if token_id in self._added:
            return self._added[token_id].encode()
        piece = self._backend.id_to_token(token_id) or ""
        if self._is_byte_level:  # GPT-2's byte-to-unicode table
            return bytes(BYTE_OF[character] for character in piece if character in BYTE_OF)
        if BYTE_PIECE.fullmatch(piece):  # SentencePiece's byte fallback
            return bytes([int(piece[3:5], 16)])
        return piece.replace("\u2581", " ").encode()

    def detokenizer(self, *, continues: bool = False) -> Detokenizer:  # noqa: ARG002
        """Return a new detokenizer, for one answer."""
        return _StreamDetokenizer(self._backend)

    def _plain(self, text: str) -> str:
        return self._control.sub(broken_up, text)


def _is_byte_level(backend: Tokenizer) -> bool:
    """Whether pieces are written in GPT-2's stand-ins for bytes; the tokenizer's parts say so."""
    parts = (backend.decoder, backend.pre_tokenizer)
    return any(b'"ByteLevel"' in part.__getstate__() for part in parts if part is not None)


class _StreamDetokenizer:
    """The streaming decoder of `tokenizers`, with a flush."""

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
