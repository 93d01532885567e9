"""One answer's tokens as text, on the engine's thread: detokenized, stop strings found.

Knows token text; knows no messages, no schema and no event loop but the mailbox's.
"""

from collections.abc import Callable
from dataclasses import replace

from playground.backends.local.outbox import Channel, Outcome, Piece
from playground.backends.local.text import AnswerText, TextPiece
from playground.engine.request import GenerationResult, TokenScore
from playground.errors import PlaygroundError
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Sampling, TokenLogprob


class AnswerSink:
    """A `TokenSink` that delivers pieces of text and, last, the result or an error.

    ``calls_id`` is the control token after which the answer is tool calls, where stop strings do
    not hold; None if the answer cannot call, or writes its calls as text.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        sampling: Sampling,
        calls_id: int | None,
        deliver: Callable[[Outcome], None],
    ) -> None:
        self._tokenizer = tokenizer
        self._calls_id = calls_id
        self._deliver = deliver
        self._channel: Channel = "text"
        self._text = AnswerText(tokenizer.detokenizer(), sampling.stop)

    def push(self, token_id: int, score: TokenScore | None) -> bool:
        """See `TokenSink`."""
        if token_id == self._calls_id:
            self._show(self._text.finish())
            self._channel = "calls"
            self._text = AnswerText(self._tokenizer.detokenizer(), ())
        piece = self._text.push(token_id, self._logprob(token_id, score))
        self._show(piece)
        return piece.stopped

    def finish(self, result: GenerationResult) -> None:
        """See `TokenSink`."""
        piece = self._text.finish()
        self._show(piece)
        # the last characters may have completed a stop string
        self._deliver(replace(result, reason="stop") if piece.stopped else result)

    def fail(self, error: PlaygroundError) -> None:
        """See `TokenSink`."""
        self._deliver(error)

    def _show(self, piece: TextPiece) -> None:
        if piece.text or piece.logprobs:
            self._deliver(Piece(piece.text, piece.logprobs, self._channel))

    def _logprob(self, token_id: int, score: TokenScore | None) -> TokenLogprob | None:
        if score is None:
            return None
        alternatives = tuple(
            self._described(other, logprob) for other, logprob in score.alternatives
        )
        return self._described(token_id, score.logprob, alternatives)

    def _described(
        self, token_id: int, logprob: float, alternatives: tuple[TokenLogprob, ...] = ()
    ) -> TokenLogprob:
        utf8 = self._tokenizer.token_bytes(token_id)
        return TokenLogprob(token_id, utf8.decode("utf-8", "replace"), utf8, logprob, alternatives)
