"""`LocalBackend`: requests answered by this process's engine, from any event loop."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from playground.backends.local.outbox import Mailbox, Outbox, Piece
from playground.backends.local.prompt import PromptRenderer, SchemaInPrompt
from playground.backends.local.registry import AdapterRegistry
from playground.backends.local.sink import AnswerSink
from playground.backends.local.translate import AnswerReader, PreparedRequest, prepare
from playground.engine import Engine, Limits
from playground.engine.request import GenerationRequest
from playground.engine.throttle import TrainingThrottle
from playground.errors import (
    AdapterChanged,
    ContextOverflow,
    InvalidRequest,
    PlaygroundError,
    UnknownModel,
)
from playground.files import modified_s
from playground.models.adapters import CONFIG_FILE, Adapter, check_fits, read_adapter
from playground.models.loaded import LoadedModel
from playground.protocol import (
    Capabilities,
    Delta,
    Message,
    ModelInfo,
    Provenance,
    Request,
    StreamEvent,
    Usage,
    check_capabilities,
    find_model,
)

LARGEST_SEED = 2**31 - 1
STREAM_INTERVAL_S = 0.04
"""Shortest time between two pieces of a stream."""


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A request that the engine has; ``fitted_max_tokens`` is its token limit if it was lowered."""

    prepared: PreparedRequest
    provenance: Provenance
    fitted_max_tokens: int | None


class LocalBackend:
    """A `Backend` and `AdapterHost` over one resident model. Use it as a context manager, or call
    `close`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        info: ModelInfo | None = None,
        limits: Limits | None = None,
        stream_interval_s: float = STREAM_INTERVAL_S,
        schema_in_prompt: SchemaInPrompt = "auto",
    ) -> None:
        self._loaded = loaded
        self._outbox = Outbox(stream_interval_s)
        self._adapters = AdapterRegistry()
        self._info = self._complete(info)
        self._renderer = PromptRenderer(
            loaded.tokenizer, self._info.context_length, schema_in_prompt
        )
        self._engine = Engine(
            loaded,
            limits,
            context_length=self._info.context_length,
            after_step=self._outbox.send,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop after the present step; streams that still run raise `EngineStopped`."""
        self._engine.close()

    @property
    def loaded(self) -> LoadedModel:
        """The resident model; training works on a shared-weight copy of it."""
        return self._loaded

    @property
    def engine(self) -> Engine:
        """The engine, which knows token ids only."""
        return self._engine

    @property
    def throttle(self) -> TrainingThrottle:
        """Asked by training before each layer; see `TrainingThrottle`."""
        return self._engine.throttle

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return self._engine.running

    @property
    def loading(self) -> bool:
        """Never."""
        return False

    @property
    def live_requests(self) -> int:
        """Requests running or waiting."""
        return self._engine.live_requests

    @property
    def default_model(self) -> ModelInfo:
        """The resident base."""
        return self._info

    async def models(self) -> Sequence[ModelInfo]:
        """The resident base, then its adapters."""
        return self._models()

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt as the model would be given it."""
        return len(await self.tokenize(request))

    async def tokenize(self, request: Request) -> list[int]:
        """Token ids of the request's prompt as the model would be given it."""
        self._adapter_of(request.model)
        return list((await asyncio.to_thread(self._renderer.render, request)).token_ids)

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the request's prompt; see `PromptTokenizer`."""
        return await self.tokenize(request)

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text that nothing precedes. Raises `UnknownModel`."""
        self._adapter_of(model)
        return self._loaded.tokenizer.prefix_id

    async def tokenize_answer(self, request: Request, text: str) -> list[int]:
        """Token ids of ``text`` as the whole answer, with the end behind it."""
        render, answer = self._loaded.tokenizer.render_answer, Message("assistant", text)
        return list(await asyncio.to_thread(render, answer, request.messages, request.tools))

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text alone, without a beginning-of-sequence token."""
        return list(self.loaded.tokenizer.encode_plain(text))

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, control tokens by name."""
        tokenizer = self.loaded.tokenizer
        names, detokenizer = tokenizer.control_tokens, tokenizer.detokenizer()
        text = ""
        for token_id in token_ids:
            if not 0 <= token_id < tokenizer.vocabulary_size:
                raise InvalidRequest("tokens", f"{token_id} is not a token id of this model")
            name = names.get(token_id)
            text += detokenizer.push(token_id) if name is None else detokenizer.flush() + name
        return text + detokenizer.flush()

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Answer piece by piece; closing the generator early cancels the request."""
        mailbox = Mailbox()
        try:
            submitted = await asyncio.to_thread(self._submit, request, mailbox)
            reader = AnswerReader(submitted.prepared)
            prompt_tokens = len(submitted.prepared.prompt.token_ids)
            while True:
                outcome = await mailbox.arrived.get()
                if isinstance(outcome, PlaygroundError):
                    raise outcome
                if isinstance(outcome, Piece):
                    if outcome.channel == "prompt":
                        yield Delta(prompt_logprobs=outcome.logprobs)
                        continue
                    delta = reader.push(outcome)
                    if delta:
                        yield replace(delta, usage=Usage(prompt_tokens, outcome.num_tokens))
                    continue
                if submitted.prepared.needs_check:
                    finish = asyncio.to_thread(reader.finish, outcome, submitted.provenance)
                    held, finished = await finish
                else:
                    held, finished = reader.finish(outcome, submitted.provenance)
                if held:
                    yield held
                yield replace(finished, fitted_max_tokens=submitted.fitted_max_tokens)
                return
        finally:
            mailbox.abandoned = True
            self._engine.cancel(request.id)

    def cancel(self, request_id: str) -> None:
        """End a request with finish reason ``cancelled``, at the latest after the present step."""
        self._engine.cancel(request_id)

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Serve the adapter in ``folder``; see `AdapterHost`. Requests go on meanwhile."""
        adapter = read_adapter(folder, name)
        check_fits(adapter, self._loaded)
        self._adapters.register(adapter, listed=listed)
        return self._describe(adapter)

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; see `AdapterHost`."""
        info = find_model(self._models(unlisted=True), name)
        adapter = self._adapters.unregister(info.adapter) if info else None
        if adapter is None:
            raise UnknownModel(name, [model.name for model in self._models()])
        self._engine.forget_adapter(adapter.content_hash)

    def uses_of(self, content_hash: str) -> int:
        """Requests running with this version of an adapter, or waiting; see `AdapterHost`."""
        return self._engine.uses_of(content_hash)

    def _submit(self, request: Request, mailbox: Mailbox) -> "_Submitted":
        """Hand the request to the engine; everything that can be refused is refused here."""
        adapter = self._adapter_of(request.model)
        provenance = self._provenance(adapter)
        if request.adapter_hash and request.adapter_hash != provenance.adapter_hash:
            raise AdapterChanged(request.model, request.adapter_hash, provenance.adapter_hash)
        check_capabilities(request, self._info)
        tokenizer = self._loaded.tokenizer
        prepared = prepare(request, self._renderer)
        fitted = self._fitted_max_tokens(request, len(prepared.prompt.token_ids))
        sampling = request.sampling
        if sampling.seed is None:  # drawn here, so that every answer can be made again
            sampling = replace(sampling, seed=random.SystemRandom().randint(0, LARGEST_SEED))
        sink = AnswerSink(
            tokenizer,
            sampling,
            tokenizer.calls_id if prepared.request.tools else None,
            lambda outcome: self._outbox.put(mailbox, outcome),
            prepared.prompt.token_ids,
            continues=request.continue_final or request.prompt is not None,
        )
        self._engine.submit(
            GenerationRequest(
                id=request.id,
                prompt=prepared.prompt.token_ids,
                sampling=sampling,
                sink=sink,
                max_tokens=sampling.max_tokens,
                grammar=prepared.grammar,
                adapter=adapter,
                priority=request.priority,
                client=request.client,
            )
        )
        if mailbox.abandoned:  # the caller left while this thread was at work
            self._engine.cancel(request.id)
        provenance = replace(provenance, settings=sampling.chosen(), seed=sampling.seed)
        return _Submitted(prepared, provenance, fitted)

    def _fitted_max_tokens(self, request: Request, prompt_tokens: int) -> int | None:
        """The room for the answer, if more was asked for. Raises `ContextOverflow` for a prompt
        that leaves none, and where the request is not to be fitted.
        """
        length, wanted = self._engine.context_length, request.sampling.max_tokens
        room = length - prompt_tokens
        if room < 1:
            field = "messages" if request.prompt is None else "prompt"
            raise ContextOverflow(prompt_tokens, length, field=field)
        if wanted is None or wanted <= room:
            return None
        if not request.fit_max_tokens:
            raise ContextOverflow(prompt_tokens, length, field="max_tokens", max_tokens=wanted)
        return room

    def _models(self, *, unlisted: bool = False) -> tuple[ModelInfo, ...]:
        adapters = self._adapters.all(unlisted=unlisted)
        return (self._info, *(self._describe(adapter) for adapter in adapters))

    def _adapter_of(self, model: str) -> Adapter | None:
        """The version that ``model`` stands for now; None for the base. Raises `UnknownModel`."""
        if model == self._info.name:
            return None
        for adapter in self._adapters.all(unlisted=True):
            if model in (adapter.name, f"{self._info.name}:{adapter.name}"):
                return adapter
        raise UnknownModel(model, [info.name for info in self._models()])

    def _complete(self, info: ModelInfo | None) -> ModelInfo:
        """The base's description, with what the loaded model says of itself."""
        loaded = self._loaded
        info = info or ModelInfo(loaded.name, loaded.context_length)
        can = Capabilities(
            adapters=True,
            training=True,
            reasoning=loaded.tokenizer.thinking is not None,
            reasoning_efforts=loaded.tokenizer.reasoning_efforts,
        )
        return replace(info, capabilities=can, provenance=self._provenance(None))

    def _describe(self, adapter: Adapter) -> ModelInfo:
        return replace(
            self._info,
            name=f"{self._info.name}:{adapter.name}",
            adapter=adapter.name,
            description=f"Adapter {adapter.name}, version {adapter.content_hash}.",
            created=modified_s(adapter.folder / CONFIG_FILE) or self._info.created,
            provenance=self._provenance(adapter),
        )

    def _provenance(self, adapter: Adapter | None) -> Provenance:
        base_hash, quantization = self._loaded.weights_hash, self._loaded.spec.quantization
        if adapter is None:
            return Provenance(base_hash, quantization)
        return Provenance(base_hash, quantization, adapter.name, adapter.content_hash)
