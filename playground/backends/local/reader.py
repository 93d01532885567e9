"""From the pieces that the engine's thread delivers to the events of the protocol.

Reads tool calls out of the text, validates an answer against its schema at the end, and says which
guarantee held. Knows no thread and no queue.
"""

from playground.backends.local.outbox import Piece
from playground.backends.local.prepare import PreparedRequest
from playground.engine.request import GenerationResult
from playground.errors import RequestFailed
from playground.models.call_formats import CALL_FORMATS, CallFormatName
from playground.protocol import (
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    Provenance,
    TokenLogprob,
    Usage,
)
from playground.structured.call_reader import CallReader, CallSplitter, call_id_seed


class AnswerReader:
    """Reads one answer; `finish` comes last."""

    def __init__(self, prepared: PreparedRequest, format_name: CallFormatName) -> None:
        request = prepared.request
        call_format = CALL_FORMATS[format_name]
        as_text = bool(call_format.marker and request.tools and prepared.grammar)
        self._prepared = prepared
        self._splitter = CallSplitter(call_format) if as_text else None
        self._calls = CallReader(call_id_seed(request))
        self._text = ""

    def push(self, piece: Piece) -> Delta | None:
        """The event of a piece; None where nothing of it can be shown yet."""
        text, calls = piece.text, ""
        if piece.channel == "calls":
            text, calls = "", piece.text
        elif self._splitter:
            text, calls = self._splitter.push(piece.text)
        return self._delta(text, calls, piece.logprobs)

    def finish(
        self, result: GenerationResult, provenance: Provenance
    ) -> tuple[Delta | None, Finished]:
        """Held-back text, if any, and the end.

        Raises `RequestFailed` for a strict request whose answer breaks its schema.
        """
        held = self._splitter.flush() if self._splitter else ""
        delta = self._delta(held, "", ())
        reason: FinishReason = result.reason
        guarantee: Guarantee | None = None
        if reason == "stop" and self._calls.calls:
            reason = "tool_calls"
        elif reason == "stop":
            guarantee = self._guarantee()
        usage = Usage(result.prompt_tokens, result.completion_tokens, result.cached_tokens)
        return delta, Finished(reason, usage, result.timings, provenance, guarantee)

    def _delta(self, text: str, calls: str, logprobs: tuple[TokenLogprob, ...]) -> Delta | None:
        self._text += text
        delta = Delta(text, self._calls.push(calls), logprobs=logprobs)
        return delta if delta.text or delta.calls or delta.logprobs else None

    def _guarantee(self) -> Guarantee | None:
        schema, form = self._prepared.schema, self._prepared.request.response_format
        if schema is None or form is None:
            return None
        if not schema.needs_check:
            return "strict"
        problem = schema.check(self._text)
        if problem and form.strict:
            raise RequestFailed(f"the answer breaks its schema: {problem}")
        return "none" if problem else "checked"
