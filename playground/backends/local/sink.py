"""One answer's tokens as text, on the engine's thread: detokenized, cut before a stop string.

Knows token text; knows no messages, no schema and no event loop but the mailbox's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from playground.backends.local.outbox import Channel, End, Outcome, Piece
from playground.engine.request import GenerationResult, TokenScore
from playground.errors import PlaygroundError
from playground.models.tokenizer import ChatTokenizer, Detokenizer
from playground.protocol import Sampling, TokenLogprob


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text and log-probabilities that may be shown now; ``stopped`` if a stop string was met."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    stopped: bool = False


class AnswerSink:
    """A `TokenSink` that delivers pieces of text and, last, the result or an error.

    ``calls_id`` is the control token after which the answer is tool calls; None if the answer
    cannot call, or writes its calls as text. Stop strings and token ids hold neither there nor in a
    thinking block. ``prompt`` is needed where its tokens are scored; ``continues``: the answer goes
    on within a text.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        sampling: Sampling,
        calls_id: int | None,
        deliver: Callable[[Outcome], None],
        prompt: Sequence[int] = (),
        *,
        continues: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._thinking = tokenizer.thinking
        self._sampling = sampling
        self._prompt = prompt
        self._num_tokens = 0
        self._calls_id = calls_id
        self._deliver = deliver
        self._channel: Channel = "text"
        self._stopped = False
        self._text = self._new_text(continues=continues)

    def take_prompt(self, scores: Sequence[TokenScore]) -> None:
        """See `TokenSink`."""
        first = self._described(self._prompt[0], math.nan)
        others = (
            self._scored(token_id, score)
            for token_id, score in zip(self._prompt[1:], scores, strict=True)
        )
        self._deliver(Piece("", (first, *others), "prompt"))

    def push(self, token_id: int, score: TokenScore | None) -> bool:
        """See `TokenSink`."""
        sampling = self._sampling
        self._num_tokens += 1
        self._change_channel(token_id)
        ends = self._channel == "text" and token_id in sampling.stop_token_ids
        if ends and not sampling.include_stop_str_in_output:
            self._stopped = True
            return True
        scored = None if score is None else self._scored(token_id, score)
        piece = self._text.push(token_id, scored, self._marker(token_id))
        self._show(piece)
        if self._num_tokens == sampling.min_tokens and self._channel == "text":
            self._text.watch_for(sampling.stop)
        self._stopped = piece.stopped or ends
        return self._stopped

    def finish(self, result: GenerationResult) -> None:
        """See `TokenSink`."""
        piece = self._text.finish()
        self._show(piece)
        if piece.stopped:  # the last characters may have completed a stop string
            result = replace(result, reason="stop")
        self._deliver(End(result, at_stop_string=self._stopped or piece.stopped))

    def fail(self, error: PlaygroundError) -> None:
        """See `TokenSink`."""
        self._deliver(error)

    def _change_channel(self, token_id: int) -> None:
        """Begin calls, or begin or end a thinking block, at the control token that does."""
        thinking = self._thinking
        channel = self._channel
        if token_id == self._calls_id:
            channel = "calls"
        elif thinking and channel == "text" and token_id == thinking.begin_id:
            channel = "reasoning"
        elif thinking and channel == "reasoning" and token_id == thinking.end_id:
            channel = "text"
        if channel != self._channel:
            self._show(self._text.finish())
            self._channel = channel
            self._text = self._new_text()

    def _new_text(self, *, continues: bool = False) -> "AnswerText":
        sampling = self._sampling
        watches = self._channel == "text" and self._num_tokens >= sampling.min_tokens
        return AnswerText(
            self._tokenizer.detokenizer(continues=continues),
            sampling.stop if watches else (),
            keep_stop=sampling.include_stop_str_in_output,
        )

    def _marker(self, token_id: int) -> str:
        """The name of a control token among calls, whose parts it marks."""
        if self._channel != "calls" or token_id in self._tokenizer.end_ids:
            return ""
        return self._tokenizer.control_tokens.get(token_id, "")

    def _show(self, piece: TextPiece) -> None:
        if piece.text or piece.logprobs:
            self._deliver(Piece(piece.text, piece.logprobs, self._channel, self._num_tokens))

    def _scored(self, token_id: int, score: TokenScore) -> TokenLogprob:
        alternatives = tuple(
            self._described(other, logprob) for other, logprob in score.alternatives
        )
        return self._described(token_id, score.logprob, alternatives)

    def _described(
        self, token_id: int, logprob: float, alternatives: tuple[TokenLogprob, ...] = ()
    ) -> TokenLogprob:
        utf8 = self._tokenizer.token_bytes(token_id)
        return TokenLogprob(token_id, utf8.decode("utf-8", "replace"), utf8, logprob, alternatives)


class AnswerText:
    """Holds back what may turn out to be the beginning of a stop string, and nothing else.

    A token's log-probability leaves with the text it belongs to; those of tokens that lie wholly
    within a stop string, or behind it, never leave. With ``keep_stop`` the stop string leaves too.
    """

    def __init__(
        self, detokenizer: Detokenizer, stop: Sequence[str], *, keep_stop: bool = False
    ) -> None:
        self._detokenizer = detokenizer
        self._stop = tuple(stop)
        self._keep_stop = keep_stop
        self._held = ""
        self._sent = 0
        self._logprobs: list[tuple[int, TokenLogprob]] = []

    def watch_for(self, stop: Sequence[str]) -> None:
        """End at these strings from now on."""
        self._stop = tuple(stop)

    def push(self, token_id: int, logprob: TokenLogprob | None, marker: str = "") -> TextPiece:
        """Take the next token, with ``marker`` as its text; return what may be shown."""
        if logprob is not None:
            self._logprobs.append((self._sent + len(self._held), logprob))
        self._held += self._detokenizer.push(token_id) + marker
        return self._release(final=False)

    def finish(self) -> TextPiece:
        """No token follows; return what was held back, up to a stop string if one is in it."""
        self._held += self._detokenizer.flush()
        return self._release(final=True)

    def _release(self, *, final: bool) -> TextPiece:
        cut = self._find_stop()
        if cut is not None:
            text = self._take(cut)
            return TextPiece(text, self._take_logprobs(take_all=False), stopped=True)
        text = self._take(len(self._held) - (0 if final else self._possible_stop()))
        return TextPiece(text, self._take_logprobs(take_all=not self._held))

    def _find_stop(self) -> int | None:
        """Where the text ends: before the first stop string, or behind it."""
        places = [
            (place, len(stop)) for stop in self._stop if (place := self._held.find(stop)) >= 0
        ]
        if not places:
            return None
        place, length = min(places)
        return place + length if self._keep_stop else place

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        length = 0
        for stop in self._stop:
            for candidate in range(min(len(stop) - 1, len(self._held)), length, -1):
                if self._held.endswith(stop[:candidate]):
                    length = candidate
                    break
        return length

    def _take(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self._sent += len(text)
        return text

    def _take_logprobs(self, *, take_all: bool) -> tuple[TokenLogprob, ...]:
        """Those of tokens whose text began to leave, or of all where no text is held back."""
        ready = [logprob for start, logprob in self._logprobs if take_all or start < self._sent]
        self._logprobs = self._logprobs[len(ready) :]
        return tuple(ready)
