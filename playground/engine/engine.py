"""The local engine: one thread owns the model; any thread's event loop may ask it.

Commands go in through a queue, events come back to each caller's loop, one hop a step. Knows
requests and events; the work of a step is the scheduler's, the runner's and the sampler's.
"""

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from playground.engine.adapter_cache import AdapterCache
from playground.engine.batch import Piece
from playground.engine.grammar import Grammars
from playground.engine.lora import BASE
from playground.engine.outbox import Mailbox, Outbox
from playground.engine.runner import Layout, runner_of
from playground.engine.scheduler import Scheduler, Segment
from playground.engine.sequence import Sequence
from playground.engine.throttle import TrainingPriority, TrainingThrottle
from playground.engine.verification import verify_drafts_and_append
from playground.errors import (
    AdapterChanged,
    ContextOverflow,
    EngineStopped,
    InvalidRequest,
    Overloaded,
    PlaygroundError,
    RequestFailed,
    UnknownModel,
)
from playground.models.adapters import Adapter, check_fits, read_adapter
from playground.models.loaded import LoadedModel, wants_one_thread
from playground.models.plan import available_bytes, kv_bytes_per_token
from playground.protocol import Event, ModelInfo, Provenance, Request, named

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the engine takes on.

    ``max_sequences`` answers in one batch, ``step_tokens`` prompt tokens in one step,
    ``max_waiting`` requests that may wait, ``kv_cache_gib`` of keys and values (chosen from what is
    free if None) laid out by ``kv_layout``; whether those of finished sequences are kept for the
    next that begins alike (``prefix_cache``), and whether answers that repeat their prompt are
    drafted from it (``drafts``); ``max_adapters`` resident at once; what ``training`` beside the
    answers may take; how often a stream's pieces leave (``stream_interval_s``).
    """

    max_sequences: int = 32
    step_tokens: int = 512
    max_waiting: int = 256
    kv_cache_gib: float | None = None
    kv_layout: Layout = "auto"
    prefix_cache: bool = True
    drafts: bool = True
    max_adapters: int = 8
    training: TrainingPriority = "low"
    stream_interval_s: float = 0.04


class Engine:
    """A `Backend` over one resident model. Use it as a context manager, or call `close`."""

    def __init__(
        self, loaded: LoadedModel, info: ModelInfo | None = None, limits: Limits | None = None
    ) -> None:
        self._loaded = loaded
        self._limits = limits or Limits()
        self._info = info or ModelInfo(
            loaded.name,
            loaded.context_length,
            created=int(time.time()),
            call_form=loaded.tokenizer.call_format,
        )
        self._info = replace(self._info, provenance=self._provenance(None))
        self._runner = runner_of(loaded.model, self._limits.max_adapters, self._limits.kv_layout)
        self._grammars = Grammars(loaded.tokenizer)
        self._adapter_cache = AdapterCache(self._runner.adapters)
        self._parked: list[Sequence] = []
        budget = self._runner.budget(self._cache_tokens(), self._info.context_length)
        self._context_length = min(self._info.context_length, budget.total)
        self._scheduler = Scheduler(
            budget,
            max_sequences=self._limits.max_sequences,
            step_tokens=self._limits.step_tokens,
            prefix_cache=self._limits.prefix_cache and self._runner.packs,
            chunks=self._runner.packs,
            drafts=self._limits.drafts and self._runner.packs,
        )
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._outbox = Outbox(self._limits.stream_interval_s)
        self._live: dict[str, Sequence] = {}
        self._live_lock = threading.Lock()
        self.throttle = TrainingThrottle(self._limits.training)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop after the present step; streams that still run raise `EngineStopped`."""
        self._stopped.set()
        self._commands.put(_wake)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def loaded(self) -> LoadedModel:
        """What it serves; others may read it, and train on a twin of it."""
        return self._loaded

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._stopped.is_set()

    @property
    def live_requests(self) -> int:
        """Requests waiting or being answered."""
        return len(self._live)

    def models(self) -> AnySequence[ModelInfo]:
        """The resident base, then its adapters."""
        return self._models()

    def _models(self, *, unlisted: bool = False) -> AnySequence[ModelInfo]:
        adapters = self._adapter_cache.published(unlisted=unlisted)
        return (self._info, *(self._describe(adapter) for adapter in adapters))

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Serve the adapter in ``folder``; see `AdapterHost`. Requests go on meanwhile."""
        adapter = read_adapter(folder, name)
        check_fits(adapter, self._loaded)
        self._adapter_cache.publish(adapter, listed=listed)
        return self._describe(adapter)

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; see `AdapterHost`."""
        found = named(self._models(unlisted=True), name)
        adapter = self._adapter_cache.withdraw(found.adapter) if found else None
        if adapter is None:
            raise UnknownModel(name, [info.name for info in self.models()])
        self._commands.put(lambda: self._scheduler.prefixes.forget(adapter.content_hash))

    def uses_of(self, content_hash: str) -> int:
        """Running and waiting requests of a version; see `AdapterHost`."""
        with self._live_lock:
            live = list(self._live.values())
        return sum(each.provenance.adapter_hash == content_hash for each in live)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt as the model would be given it."""
        self._adapter_of(request.model)
        return len(self._render(request))

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer piece by piece; closing the generator early cancels the request."""
        mailbox = Mailbox()
        sequence = await asyncio.to_thread(self._begin, request, mailbox)
        self._enter(sequence)
        try:
            while True:
                outcome = await mailbox.arrived.get()
                if isinstance(outcome, PlaygroundError):
                    raise outcome
                yield outcome
                if outcome.finish_reason:
                    return
        finally:
            self.cancel(request.id)

    def cancel(self, request_id: str) -> None:
        """End a request with finish reason ``cancelled``, at the latest after the present step."""
        with self._live_lock:
            sequence = self._live.get(request_id)
        if sequence is not None:
            sequence.cancelled = True

    def _describe(self, adapter: Adapter) -> ModelInfo:
        return replace(
            self._info,
            name=f"{self._info.name}:{adapter.name}",
            adapter=adapter.name,
            description=f"Adapter {adapter.name}, version {adapter.content_hash}.",
            provenance=self._provenance(adapter),
        )

    def _provenance(self, adapter: Adapter | None) -> Provenance:
        base_hash, quantization = self._loaded.weights_hash, self._loaded.spec.quantization
        if adapter is None:
            return Provenance(base_hash, quantization)
        return Provenance(base_hash, quantization, adapter.name, adapter.content_hash)

    def _adapter_of(self, model: str) -> Adapter | None:
        """The version that answers to this name now; None is the base."""
        info = named(self._models(unlisted=True), model)
        adapter = self._adapter_cache.find(info.adapter) if info and info.adapter else None
        if info is None or (info.adapter and adapter is None):
            raise UnknownModel(model, [each.name for each in self.models()])
        return adapter

    def _render(self, request: Request) -> list[int]:
        tokenizer = self._loaded.tokenizer
        if request.prompt is None:
            return tokenizer.render(
                request.messages, request.tools, continue_final=request.continue_final
            )
        if isinstance(request.prompt, str):
            return tokenizer.encode(request.prompt)
        for token_id in request.prompt:
            if not 0 <= token_id < tokenizer.vocabulary_size:
                raise InvalidRequest("prompt", f"{token_id} is not a token id of this model")
        return list(request.prompt)

    def _begin(self, request: Request, mailbox: Mailbox) -> Sequence:
        """Everything that can be refused is refused here, on the caller's side."""
        adapter = self._adapter_of(request.model)
        provenance = self._provenance(adapter)
        if request.adapter_hash and request.adapter_hash != provenance.adapter_hash:
            raise AdapterChanged(request.model, request.adapter_hash, provenance.adapter_hash)
        prompt = self._render(request)
        room = self._context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(len(prompt), self._context_length)
        vocabulary_size = self._loaded.tokenizer.vocabulary_size
        for token_id in request.sampling.logit_bias:
            if token_id >= vocabulary_size:
                raise InvalidRequest("logit_bias", f"{token_id} is not a token id of this model")
        sequence = Sequence.begin(
            request,
            self._loaded.tokenizer,
            prompt,
            min(request.sampling.max_tokens or room, room),
            deliver=lambda outcome: self._outbox.put(mailbox, outcome),
            adapter=adapter,
            matcher=self._grammars.matcher(request.grammar) if request.grammar else None,
        )
        sequence.provenance = provenance
        return sequence

    def _enter(self, sequence: Sequence) -> None:
        request_id = sequence.request.id
        with self._live_lock:
            if not self.running:
                raise EngineStopped("the engine is shutting down")
            if request_id in self._live:
                raise InvalidRequest("id", f"a request with id {request_id!r} is already running")
            waiting = len(self._live) - self._limits.max_sequences
            if waiting >= self._limits.max_waiting:
                raise Overloaded(waiting)
            self._live[request_id] = sequence
            self.throttle.answering(busy=True)
        self._commands.put(lambda: self._queue(sequence))

    # From here on: the engine's thread.

    def _serve(self) -> None:
        failure: PlaygroundError = EngineStopped("the engine was stopped")
        try:
            if wants_one_thread(self._loaded.model):
                torch.set_num_threads(1)
            while not self._stopped.is_set():
                self._take_commands()
                self._drop_cancelled()
                segments = self._scheduler.next_step()
                if segments:
                    self._step(segments)
                self._outbox.send()
        except Exception as error:  # the thread's outer edge: whoever waits must hear of it
            failure = EngineStopped(f"the engine's thread failed: {error!r}")
            raise
        finally:
            self._stopped.set()
            with self._live_lock:
                stranded = list(self._live.values())
            for sequence in stranded:
                sequence.deliver(failure)
            self._leave(stranded)
            self._outbox.send()

    def _take_commands(self) -> None:
        """Run what was asked since the last step; wait for something if there is nothing to do."""
        try:
            while True:
                self._commands.get(block=self._scheduler.idle)()
                if self._stopped.is_set():
                    return
        except queue.Empty:
            return

    def _queue(self, sequence: Sequence) -> None:
        """Hand a sequence to the scheduler once its adapter is resident."""
        if sequence.adapter:
            try:
                slot = self._adapter_cache.acquire(sequence.adapter)
            except RuntimeError as error:  # torch's word for no memory, among others
                sequence.deliver(RequestFailed(f"its adapter cannot be made resident: {error}"))
                self._leave([sequence])
                return
            if slot is None:
                self._parked.append(sequence)
                return
            sequence.slot = slot
        self._scheduler.add(sequence)

    def _drop_cancelled(self) -> None:
        everyone = [*self._scheduler.sequences(), *self._parked]
        cancelled = [each for each in everyone if each.cancelled]
        for sequence in cancelled:
            sequence.finish("cancelled")
        self._leave(cancelled)

    def _step(self, segments: AnySequence[Segment]) -> None:
        by_sequence: defaultdict[Sequence, list[Segment]] = defaultdict(list)
        for segment in segments:
            by_sequence[segment.sequence].append(segment)
        if len(by_sequence) > 1 and not self._runner.packs:
            self._step_each(by_sequence.values())
            return
        try:
            self._advance(segments)
        except (RuntimeError, ValueError, IndexError, NotImplementedError) as error:
            if len(by_sequence) > 1:  # find out whose fault it is
                self._step_each(by_sequence.values())
                return
            (sequence,) = by_sequence
            failure = RequestFailed(f"the model failed on this request: {error}")
            failure.__cause__ = error
            sequence.deliver(failure)
            self._leave([sequence])

    def _step_each(self, by_sequence: Iterable[AnySequence[Segment]]) -> None:
        for own in by_sequence:
            self._step(own)

    def _advance(self, segments: AnySequence[Segment]) -> None:
        segments = sorted(segments, key=_by_adapter)
        logits = self._runner.forward([each for own in segments for each in _pieces_of(own)])
        for segment in segments:
            segment.sequence.computed = segment.stop
        self._leave(verify_drafts_and_append(logits, [each for each in segments if each.completes]))

    def _leave(self, sequences: AnySequence[Sequence]) -> None:
        if not sequences:
            return
        self._scheduler.remove(sequences)
        with self._live_lock:
            for sequence in sequences:
                self._live.pop(sequence.request.id, None)
            self.throttle.answering(busy=bool(self._live))
        freed = [each.adapter for each in sequences if each.adapter and each.slot != BASE]
        for adapter in freed:
            self._adapter_cache.release(adapter)
        parked = [each for each in self._parked if each not in sequences]
        self._parked = [] if freed else parked
        for sequence in parked if freed else ():
            self._queue(sequence)

    def _cache_tokens(self) -> int:
        """Tokens of keys and values that the memory budget holds."""
        model = self._loaded.model
        if self._limits.kv_cache_gib is not None:
            budget = self._limits.kv_cache_gib * GIB
        else:
            share = 0.5 if model.device.type == "cuda" else 0.25  # the rest is for training
            budget = share * available_bytes(model.device)
        per_token = kv_bytes_per_token(model.config, model.dtype.itemsize)
        wanted = self._limits.max_sequences * self._info.context_length
        return min(int(budget / per_token), 2 * wanted) if per_token else 2 * wanted


def _by_adapter(segment: Segment) -> tuple[bool, int]:
    """Single tokens before pieces of prompts, and each adapter's rows side by side."""
    return segment.stop - segment.start > 1, segment.sequence.slot


def _pieces_of(segment: Segment) -> Iterator[Piece]:
    sequence = segment.sequence
    ids = sequence.tokens[segment.start : segment.stop]
    yield Piece(sequence.cache, ids, segment.start, segment.completes, sequence.slot)
    for at, token_id in enumerate(segment.draft, start=segment.stop):
        yield Piece(sequence.cache, [token_id], at, wants_logits=True, slot=sequence.slot)


def _wake() -> None:
    """A command that does nothing but end the wait for one."""
