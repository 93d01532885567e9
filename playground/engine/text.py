"""An answer's text as it leaves: detokenized piece by piece, cut before the first stop string.

Knows token text and stop strings; knows no model and no sampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playground.models.tokenizer import Detokenizer
from playground.protocol import TokenLogprob


@dataclass(frozen=True, slots=True)
class Piece:
    """Text and scores that may be shown now; ``stopped`` if a stop string was met."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    stopped: bool = False


class AnswerText:
    """Holds back what may turn out to be the beginning of a stop string, and nothing else.

    A token's score leaves with the text it belongs to; scores of tokens that lie wholly within a
    stop string, or behind it, never leave.
    """

    def __init__(self, detokenizer: Detokenizer, stop: Sequence[str]) -> None:
        self._detokenizer = detokenizer
        self._stop = tuple(stop)
        self._held = ""
        self._sent = 0
        self._scores: list[tuple[int, TokenLogprob]] = []

    def push(self, token_id: int, score: TokenLogprob | None) -> Piece:
        """Take the next token; return what may be shown."""
        if score is not None:
            self._scores.append((self._sent + len(self._held), score))
        self._held += self._detokenizer.push(token_id)
        return self._release(final=False)

    def finish(self) -> Piece:
        """No token follows; return what was held back, up to a stop string if one is in it."""
        self._held += self._detokenizer.flush()
        return self._release(final=True)

    def _release(self, *, final: bool) -> Piece:
        cut = self._find_stop()
        if cut is not None:
            text = self._take(cut)
            return Piece(text, self._take_scores(all_of_them=False), stopped=True)
        text = self._take(len(self._held) - (0 if final else self._possible_stop()))
        return Piece(text, self._take_scores(all_of_them=not self._held))

    def _find_stop(self) -> int | None:
        places = [place for stop in self._stop if (place := self._held.find(stop)) >= 0]
        return min(places, default=None)

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest

    def _take(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self._sent += len(text)
        return text

    def _take_scores(self, *, all_of_them: bool) -> tuple[TokenLogprob, ...]:
        """Scores of tokens whose text began to leave, or of all where no text is held back."""
        ready = [score for start, score in self._scores if all_of_them or start < self._sent]
        self._scores = self._scores[len(ready) :]
        return tuple(ready)
