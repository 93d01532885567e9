"""A backend that answers from a script, for tests of the faces that need a chosen answer.

It keeps the protocol's promises (cancel, one final event, unknown models refused, answers checked
against their schema) and knows no model. It never stands in where the embedded model can be used.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from playground.errors import RequestFailed, UnknownModel
from playground.protocol import (
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    ModelInfo,
    Request,
    StreamEvent,
    Timings,
    Usage,
)
from playground.structured.formats import compile_format

Script = Callable[[Request], Iterable[str | Delta]]


class ScriptedBackend:
    """Streams what ``script`` returns for a request, text or deltas, ``pause_s`` seconds apart:
    a number, or a function of the request.

    A script may raise one of our errors, before or between pieces. A piece counts as one token.
    """

    def __init__(
        self,
        script: Script,
        *,
        models: Sequence[ModelInfo] = (ModelInfo("scripted", context_length=4096),),
        pause_s: float | Callable[[Request], float] = 0.0,
    ) -> None:
        self._script = script
        self._models = tuple(models)
        self._pause_s = pause_s
        self._running: set[str] = set()

    @property
    def running(self) -> bool:
        """Always."""
        return True

    @property
    def loading(self) -> bool:
        """Never."""
        return False

    async def models(self) -> Sequence[ModelInfo]:
        """The models it was given."""
        return self._models

    async def count_tokens(self, request: Request) -> int:
        """One token a word of the prompt."""
        texts = [message.content for message in request.messages]
        if isinstance(request.prompt, str):
            texts.append(request.prompt)
        return sum(len(text.split()) for text in texts)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """The script's pieces, then one final event."""
        if request.model not in {model.name for model in self._models}:
            raise UnknownModel(request.model, [model.name for model in self._models])
        began = time.monotonic()
        first: float | None = None
        sent, text = 0, ""
        self._running.add(request.id)
        reason: FinishReason = "stop"
        pause_s = self._pause_s(request) if callable(self._pause_s) else self._pause_s
        try:
            for piece in self._script(request):
                await asyncio.sleep(pause_s)
                if request.id not in self._running:
                    reason = "cancelled"
                    break
                if sent == request.sampling.max_tokens:
                    reason = "length"
                    break
                first = first or time.monotonic()
                sent += 1
                delta = piece if isinstance(piece, Delta) else Delta(piece)
                text += delta.text
                yield delta
            now = time.monotonic()
            yield Finished(
                reason,
                Usage(await self.count_tokens(request), sent),
                Timings(0.0, (first or now) - began, now - began),
                guarantee=_guarantee(request, text) if reason == "stop" else None,
            )
        finally:
            self._running.discard(request.id)

    def cancel(self, request_id: str) -> None:
        """End the stream before its next piece."""
        self._running.discard(request_id)


def _guarantee(request: Request, text: str) -> Guarantee | None:
    """No grammar constrains a script, so its answer is checked at the end."""
    form = request.response_format
    if form is None:
        return None
    problem = compile_format(form).check(text)
    if problem and form.strict:
        raise RequestFailed(f"the answer breaks its schema: {problem}")
    return "none" if problem else "checked"
