"""The engine: one thread owns the model and answers requests in token ids, in one batch.

Requests go in through a queue from any thread; tokens come back to each request's sink on the
engine's thread. The work of a step is the scheduler's, the runner's and the sampler's. Knows no
text, no message and no name of an adapter.
"""

import queue
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from playground.engine.adapter_cache import AdapterCache
from playground.engine.batch import ScheduledChunk
from playground.engine.grammar import GrammarCompiler
from playground.engine.lora import BASE
from playground.engine.request import GenerationRequest
from playground.engine.runner import Layout, choose_runner
from playground.engine.scheduler import Schedule, Scheduler
from playground.engine.sequence import Sequence
from playground.engine.stats import EngineStats
from playground.engine.throttle import TrainingPriority, TrainingThrottle
from playground.engine.verification import score_prompts, verify_drafts_and_append
from playground.errors import (
    ContextOverflow,
    EngineStopped,
    InvalidRequest,
    Overloaded,
    PlaygroundError,
    RequestFailed,
)
from playground.models.loaded import LoadedModel, wants_one_thread
from playground.models.plan import available_bytes, kv_bytes_per_token

GIB = 2**30
CACHE_FRACTION = {"cuda": 0.5, "cpu": 0.25}
"""Of the free memory, for keys and values; the rest is left for training."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the engine takes on.

    ``max_sequences`` answers in one batch, ``step_tokens`` prompt tokens in one step,
    ``max_waiting`` requests in the queue. ``kv_cache_gib`` of keys and values (a fraction of the
    free memory if None) in ``kv_layout``. ``prefix_cache`` keeps those of finished sequences,
    ``drafts`` turns on prompt lookup, ``max_adapters`` are resident at once. ``training`` is the
    priority of training beside the answers.
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


class Engine:
    """Answers requests with one resident model. Use it as a context manager, or call `close`.

    ``context_length`` is the model's unless a shorter one is given. ``after_step`` is called on the
    engine's thread after each step, when it wakes up, and at its end: sinks may hold back tokens
    until then.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        limits: Limits | None = None,
        *,
        context_length: int | None = None,
        after_step: Callable[[], None] | None = None,
    ) -> None:
        self.loaded = loaded
        self._limits = limits or Limits()
        self._after_step = after_step or _do_nothing
        self._runner = choose_runner(
            loaded.model, self._limits.max_adapters, self._limits.kv_layout
        )
        self._grammars = GrammarCompiler(loaded.tokenizer)
        unused = sorted(loaded.tokenizer.unused_ids)
        self._unused = torch.tensor(unused, device=loaded.model.device) if unused else None
        self._adapter_cache = AdapterCache(self._runner.adapters)
        self._waiting_for_slot: list[Sequence] = []
        wanted = loaded.context_length if context_length is None else context_length
        budget = self._runner.budget(self._cache_tokens(wanted), wanted)
        self.context_length = min(wanted, budget.total)
        self._cache_capacity = budget.total
        batching = self._runner.supports_batching
        self._scheduler = Scheduler(
            budget,
            max_sequences=self._limits.max_sequences,
            step_tokens=self._limits.step_tokens,
            prefix_cache=self._limits.prefix_cache and batching,
            chunked_prefill=batching,
            drafts=self._limits.drafts and batching,
        )
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
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
        """Stop after the current step; live requests fail with `EngineStopped`."""
        self._stopped.set()
        self._commands.put(_do_nothing)  # ends the wait for a command
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._stopped.is_set()

    @property
    def live_requests(self) -> int:
        """Requests waiting or being answered."""
        return len(self._live)

    def stats(self) -> EngineStats:
        """What it is doing now; may be called from any thread."""
        running = self._scheduler.running
        device = self.loaded.model.device
        free, total = torch.cuda.mem_get_info(device) if device.type == "cuda" else (0, 0)
        return EngineStats(
            running=len(running),
            waiting=max(0, len(self._live) - len(running)),
            cache_tokens=sum(sequence.cache.capacity for sequence in running),
            cache_capacity=self._cache_capacity,
            prompt_tokens=self._scheduler.prompt_tokens,
            cached_tokens=self._scheduler.cached_tokens,
            preemptions=self._scheduler.preemptions,
            adapters=len(self._adapter_cache),
            adapter_loads=self._adapter_cache.loads,
            gpu_used_bytes=total - free,
            gpu_total_bytes=total,
        )

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; its sink hears from the engine's thread from now on.

        May take a while to compile a grammar. Raises `ContextOverflow`, `InvalidRequest`,
        `Overloaded` or `EngineStopped` before anything of the sink is called. The adapter must fit
        the model (`check_fits`).
        """
        sequence = self._new_sequence(request)
        with self._live_lock:
            if not self.running:
                raise EngineStopped("the engine is shutting down")
            if request.id in self._live:
                raise InvalidRequest("id", f"a request with id {request.id!r} is already running")
            waiting = len(self._live) - self._limits.max_sequences
            if waiting >= self._limits.max_waiting:
                raise Overloaded(waiting)
            self._live[request.id] = sequence
            self.throttle.set_busy(True)
        self._commands.put(lambda: self._enqueue(sequence))

    def cancel(self, request_id: str) -> None:
        """End a request with reason ``cancelled`` after the current step; ignore unknown ids."""
        with self._live_lock:
            sequence = self._live.get(request_id)
        if sequence is not None:
            sequence.cancelled = True

    def uses_of(self, content_hash: str) -> int:
        """Return the number of live requests with this adapter version."""
        with self._live_lock:
            live = list(self._live.values())
        return sum(sequence.adapter_hash == content_hash for sequence in live)

    def forget_adapter(self, content_hash: str) -> None:
        """Drop the kept prefixes of an adapter version that gets no new requests."""
        self._commands.put(lambda: self._scheduler.prefixes.forget(content_hash))

    def _new_sequence(self, request: GenerationRequest) -> Sequence:
        tokenizer = self.loaded.tokenizer
        if len(request.prompt) == 0:
            raise InvalidRequest("prompt", "must not be empty")
        for token_id in (min(request.prompt), max(request.prompt)):
            if not 0 <= token_id < tokenizer.vocabulary_size:
                raise InvalidRequest("prompt", f"{token_id} is not a token id of this model")
        room = self.context_length - len(request.prompt)
        if room < 1:
            raise ContextOverflow(len(request.prompt), self.context_length)
        sampling = request.sampling
        for field, token_ids in (
            ("logit_bias", sampling.logit_bias),
            ("stop_token_ids", sampling.stop_token_ids),
        ):
            for token_id in token_ids:
                if token_id >= tokenizer.vocabulary_size:
                    raise InvalidRequest(field, f"{token_id} is not a token id of this model")
        if sampling.ignore_eos and request.grammar:
            problem = "an answer with tools or a response format ends where its grammar ends"
            raise InvalidRequest("ignore_eos", problem)
        return Sequence.begin(
            request,
            room if request.max_tokens is None else min(request.max_tokens, room),
            tokenizer.vocabulary_size,
            tokenizer.end_ids,
            self._grammars.compile(request.grammar) if request.grammar else None,
        )

    # From here on: the engine's thread.

    def _serve(self) -> None:
        failure: PlaygroundError = EngineStopped("the engine was stopped")
        try:
            if wants_one_thread(self.loaded.model):
                torch.set_num_threads(1)
            while not self._stopped.is_set():
                self._run_commands()
                self._drop_cancelled()
                schedule = self._scheduler.next_step()
                if schedule:
                    began = time.monotonic()
                    self._step(schedule)
                    self._scheduler.took(schedule, time.monotonic() - began)
                self._after_step()
        except Exception as error:  # the thread's outer edge: live requests must hear of it
            failure = EngineStopped(f"the engine's thread failed: {error!r}")
            raise
        finally:
            self._stopped.set()
            with self._live_lock:
                live = list(self._live.values())
            for sequence in live:
                sequence.fail(failure)
            self._remove(live)
            self._after_step()

    def _run_commands(self) -> None:
        """Run the commands that came since the last step; wait for one if there is no work."""
        try:
            while True:
                self._commands.get(block=self._scheduler.idle)()
                if self._stopped.is_set():
                    return
        except queue.Empty:
            return

    def _enqueue(self, sequence: Sequence) -> None:
        """Hand a sequence to the scheduler once its adapter is resident."""
        adapter = sequence.request.adapter
        if adapter:
            try:
                slot = self._adapter_cache.acquire(adapter)
            except RuntimeError as error:  # torch raises it when memory runs out, among others
                sequence.fail(RequestFailed(f"its adapter cannot be made resident: {error}"))
                self._remove([sequence])
                return
            if slot is None:
                self._waiting_for_slot.append(sequence)
                return
            sequence.slot = slot
        self._scheduler.add(sequence)

    def _drop_cancelled(self) -> None:
        sequences = [*self._scheduler.sequences(), *self._waiting_for_slot]
        cancelled = [sequence for sequence in sequences if sequence.cancelled]
        for sequence in cancelled:
            sequence.finish("cancelled")
        self._remove(cancelled)

    def _step(self, schedule: Schedule) -> None:
        if len(schedule) > 1 and not self._runner.supports_batching:
            self._step_one_by_one(schedule)
            return
        try:
            self._advance(schedule)
        except (RuntimeError, ValueError, IndexError, NotImplementedError) as error:
            if len(schedule) > 1:  # find out which request it is
                self._step_one_by_one(schedule)
                return
            (sequence,) = schedule
            failure = RequestFailed(f"the model failed on this request: {error}")
            failure.__cause__ = error
            sequence.fail(failure)
            self._remove([sequence])

    def _step_one_by_one(self, schedule: Schedule) -> None:
        for sequence, chunks in schedule.items():
            self._step({sequence: chunks})

    def _advance(self, schedule: Schedule) -> None:
        pairs = [(sequence, chunk) for sequence, chunks in schedule.items() for chunk in chunks]
        pairs.sort(key=_row_order)
        chunks = [chunk for _, chunk in pairs]
        logits = self._without_unknown(self._runner.forward(chunks))
        for sequence, own in schedule.items():
            sequence.num_computed = min(own[-1].stop, len(sequence.tokens))  # without drafts
        if any(chunk.scored for chunk in chunks):
            logits = score_prompts(logits, pairs)
        wanted = [(sequence, chunk) for sequence, chunk in pairs if chunk.wants_logits]
        self._remove(verify_drafts_and_append(logits, wanted))

    def _without_unknown(self, logits: Tensor) -> Tensor:
        """Leave out the columns past the tokenizer's ids (many vocabularies are padded), and forbid
        ids between others that it does not use.
        """
        logits = logits[:, : self.loaded.tokenizer.vocabulary_size]
        if self._unused is not None:
            logits = logits.index_fill(1, self._unused, float("-inf"))
        return logits

    def _remove(self, sequences: AnySequence[Sequence]) -> None:
        """Forget sequences that ended; those that waited for their slots are tried again."""
        if not sequences:
            return
        self._scheduler.remove(sequences)
        with self._live_lock:
            for sequence in sequences:
                self._live.pop(sequence.request.id, None)
            self.throttle.set_busy(bool(self._live))
        freed = [s.request.adapter for s in sequences if s.request.adapter and s.slot != BASE]
        for adapter in freed:
            self._adapter_cache.release(adapter)
        waiting = [sequence for sequence in self._waiting_for_slot if sequence not in sequences]
        self._waiting_for_slot = [] if freed else waiting
        for sequence in waiting if freed else ():
            self._enqueue(sequence)

    def _cache_tokens(self, context_length: int) -> int:
        """Return how many tokens of keys and values the memory budget holds."""
        model = self.loaded.model
        if self._limits.kv_cache_gib is not None:
            budget_bytes = self._limits.kv_cache_gib * GIB
        else:
            fraction = CACHE_FRACTION["cuda" if model.device.type == "cuda" else "cpu"]
            budget_bytes = fraction * available_bytes(model.device)
        per_token = kv_bytes_per_token(model.config, model.dtype.itemsize)
        wanted = 2 * self._limits.max_sequences * context_length
        return min(int(budget_bytes / per_token), wanted) if per_token else wanted


def _row_order(pair: tuple[Sequence, ScheduledChunk]) -> tuple[bool, int]:
    """Order single tokens before longer chunks, and each adapter's rows side by side."""
    _, chunk = pair
    return len(chunk.token_ids) > 1, chunk.slot


def _do_nothing() -> None:
    """Stand in for a command or a hook."""
