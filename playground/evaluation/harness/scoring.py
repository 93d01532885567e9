"""What lm-eval asks of a model, asked of a `Backend`: log-likelihoods and generated texts.

Contexts and continuations are tokenized, cut and scored as lm-eval's own `hf` model does it
(lm_eval/models/huggingface.py), so that figures agree with it. Knows no task and no lm-eval.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeAlias

from playground.errors import ContextOverflow, EngineStopped, InvalidRequest, Overloaded
from playground.evaluation.harness.token_pairs import (
    Chat,
    Context,
    TokenPair,
    Tokens,
    context_json,
    rolling_windows,
)
from playground.protocol import (
    Answer,
    Backend,
    ModelInfo,
    Priority,
    PromptTokenizer,
    Request,
    Sampling,
    collect,
)
from playground.protocol.json_types import Json, JsonObject
from playground.protocol.request import MAX_TOP_LOGPROBS
from playground.store.evaluation_cache import EvaluationCache, key_of

MAX_CONCURRENT = 32
BUSY_WAIT_S = 0.25
"""Before a request that the full queue refused is sent again."""
OUTSIDE_ROOM = 2
"""Tokens of the context that scoring leaves free: a scored prompt ends one before the last."""
OnDone: TypeAlias = Callable[[int], None]


class Likelihood(NamedTuple):
    """``logprob`` is the natural log-probability of a continuation; ``greedy`` says whether each of
    its tokens was the likeliest."""

    logprob: float
    greedy: bool


@dataclass(frozen=True, slots=True)
class _Work:
    """One question to the backend. It answers ``keys``, in their order."""

    keys: tuple[str, ...]
    ask: Callable[[], Awaitable[list[Json]]]


@dataclass(slots=True)
class Scorer:
    """Asks one model, many requests at once, behind those of people (`Priority.BATCH`).

    What is in ``cache`` is not asked again. ``on_done`` is told of each finished request.
    """

    backend: Backend
    info: ModelInfo
    cache: EvaluationCache
    on_done: OnDone = field(default=lambda _count: None)
    asked: int = 0
    """Requests that the backend answered."""
    _score_tokens: int = 0
    """Answer tokens of a request that only scores its prompt; some servers want one."""

    async def check_likelihoods(self, *, rolling: bool) -> None:
        """Ask for one log-probability, to see what the backend can do.

        Raises `InvalidRequest` that names the model and what is missing.
        """
        try:
            tokens = self._tokens()
            if rolling:
                await tokens.prefix_id()
            await self._try_scoring(await tokens.pair("A", " b"))
        except InvalidRequest as error:
            raise InvalidRequest(
                "tasks",
                f"{self.info.name} gives no log-probabilities of a prompt, which multiple-choice "
                f"and perplexity tasks are scored by: {error.problem}",
            ) from error

    async def _try_scoring(self, pair: TokenPair) -> None:
        try:
            await self._score(pair)
        except InvalidRequest as refused:
            self._score_tokens = 1
            try:
                await self._score(pair)
            except InvalidRequest:
                raise refused from None

    async def likelihoods(self, pairs: Sequence[tuple[Context, str]]) -> list[Likelihood]:
        """Score each continuation after its context."""
        keys = [key_of(["likelihood", context_json(a), b, self._window]) for a, b in pairs]
        by_context: dict[str, dict[str, tuple[Context, str]]] = {}
        for key, pair in zip(keys, pairs, strict=True):
            if key not in self.cache:
                by_context.setdefault(key_of(context_json(pair[0])), {})[key] = pair
        works = (
            _Work(tuple(group), partial(self._score_group, [*group.values()]))
            for group in by_context.values()
        )
        found = await self._all(keys, works)
        return [_likelihood(value) for value in found]

    async def rolling(self, texts: Sequence[str]) -> list[float]:
        """Return each text's log-probability; one that is longer than the context is read window by
        window, with as much before each token as fits."""
        keys = [key_of(["rolling", text, self._window]) for text in texts]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self.cache
        }
        works = (_Work((key,), partial(self._score_rolling, text)) for key, text in missing.items())
        return [_number(value) for value in await self._all(keys, works)]

    async def generate(self, prompts: Sequence[tuple[Context, Sampling]]) -> list[str]:
        """Return the texts that follow. What is drawn (temperature above 0) is drawn anew where the
        same is asked again, with the seed one higher."""
        keys: list[str] = []
        missing: dict[str, tuple[Context, Sampling, int]] = {}
        seen: dict[str, int] = {}
        for context, sampling in prompts:
            settings = sampling_json(sampling)
            asked = key_of([context_json(context), settings])
            repeat = seen.get(asked, 0) if sampling.temperature else 0
            seen[asked] = repeat + 1
            key = key_of(["generate", context_json(context), settings, repeat, self._window])
            keys.append(key)
            if key not in self.cache:
                missing[key] = (context, sampling, repeat)
        works = (_Work((key,), partial(self._generate, *given)) for key, given in missing.items())
        return [str(value) for value in await self._all(keys, works)]

    @property
    def _window(self) -> int:
        return self.info.context_length

    async def _all(self, keys: Sequence[str], works: Iterator[_Work]) -> list[Json]:
        """Do the works, some at once, keep what comes of them, and return what each key has."""
        counts: dict[str, int] = {}
        for key in keys:
            counts[key] = counts.get(key, 0) + 1
        self.on_done(sum(count for key, count in counts.items() if key in self.cache))

        async def take() -> None:
            for work in works:
                for key, value in zip(work.keys, await work.ask(), strict=True):
                    self.cache.add(key, value)
                    self.on_done(counts[key])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(MAX_CONCURRENT):
                    group.create_task(take())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [self.cache[key] for key in keys]

    async def _score_group(self, pairs: Sequence[tuple[Context, str]]) -> list[Json]:
        """Score continuations of one context. Those of one token take one request together."""
        tokens = self._tokens()
        encoded = [await tokens.pair(*pair) for pair in pairs]
        short = [pair for pair in encoded if len(pair.continuation) == 1]
        known: Mapping[int, Likelihood] = {}
        if len(short) > 1 and all(pair.context == short[0].context for pair in short):
            known = await self._next_tokens(short[0].context)

        async def one(pair: TokenPair) -> Likelihood:
            first = known.get(pair.continuation[0]) if len(pair.continuation) == 1 else None
            return first or await self._score(pair)

        found = await asyncio.gather(*map(one, encoded))
        return [[likelihood.logprob, likelihood.greedy] for likelihood in found]

    async def _next_tokens(self, context: Sequence[int]) -> dict[int, Likelihood]:
        """Return the likeliest tokens after a context by id."""
        prompt = tuple(context[-(self._window - OUTSIDE_ROOM) :])
        sampling = Sampling(temperature=0.0, max_tokens=1, logprobs=MAX_TOP_LOGPROBS)
        answer = await self._answer(Request(self.info.name, prompt=prompt, sampling=sampling))
        if not answer.logprobs:
            return {}
        first = answer.logprobs[0]
        best = max((each.logprob for each in first.alternatives), default=first.logprob)
        return {
            each.token_id: Likelihood(each.logprob, each.logprob >= best)
            for each in (*first.alternatives, first)
            if each.token_id >= 0
        }

    async def _score(self, pair: TokenPair) -> Likelihood:
        count = len(pair.continuation)
        if count == 0:
            return Likelihood(0.0, True)
        if count > self._window - OUTSIDE_ROOM:
            raise InvalidRequest(
                "tasks", f"a text of {count} tokens is to be scored; {self._window} fit the context"
            )
        prompt = (*pair.context, *pair.continuation)[-(self._window - 1) :]
        sampling = Sampling(temperature=0.0, max_tokens=self._score_tokens, prompt_logprobs=1)
        answer = await self._answer(Request(self.info.name, prompt=prompt, sampling=sampling))
        scored = answer.prompt_logprobs[-count:]
        if len(scored) < count:
            raise InvalidRequest("prompt_logprobs", "its server leaves them out")
        greedy = all(
            token.logprob >= max((each.logprob for each in token.alternatives), default=0.0)
            for token in scored
        )
        return Likelihood(sum(token.logprob for token in scored), greedy)

    async def _score_rolling(self, text: str) -> list[Json]:
        tokens = self._tokens()
        prefix = await tokens.prefix_id()
        ids = await tokens.of_text(text)
        windows = rolling_windows(ids, prefix, self._window - OUTSIDE_ROOM)
        found = await asyncio.gather(*map(self._score, windows))
        return [sum(likelihood.logprob for likelihood in found)]

    async def _generate(self, context: Context, sampling: Sampling, repeat: int) -> list[Json]:
        seeded = replace(sampling, seed=(sampling.seed or 0) + repeat)
        return [(await self._answer(await self._prompted(context, seeded))).text]

    async def _prompted(self, context: Context, sampling: Sampling) -> Request:
        """Return the request for what follows a context. A text too long loses its beginning."""
        model, room = self.info.name, self._window - (sampling.max_tokens or 0)
        if isinstance(context, Chat):
            chat = Request(
                model, context.messages, continue_final=context.continues, sampling=sampling
            )
            if not isinstance(self.backend, PromptTokenizer):
                return chat
            try:
                rendered = await self.backend.prompt_ids(chat)
            except (InvalidRequest, ContextOverflow):
                return chat
            return chat if len(rendered) <= room else self._cut(rendered, room, sampling)
        if not isinstance(self.backend, PromptTokenizer):
            return Request(model, prompt=context, sampling=sampling)
        try:
            ids = await self._tokens().of_text(context)
        except InvalidRequest:
            return Request(model, prompt=context, sampling=sampling)
        return self._cut(ids, room, sampling)

    def _cut(self, ids: Sequence[int], room: int, sampling: Sampling) -> Request:
        return Request(self.info.name, prompt=tuple(ids[-room:]), sampling=sampling)

    def _tokens(self) -> Tokens:
        if not isinstance(self.backend, PromptTokenizer):
            raise InvalidRequest("model", "its server tells no token ids")
        return Tokens(self.backend, self.info.name)

    async def _answer(self, request: Request) -> Answer:
        """Ask until the queue has room. Raises `EngineStopped` for an answer that was cancelled,
        which nobody but a backend that ends does."""
        request = replace(
            request,
            adapter_hash=self.info.provenance.adapter_hash,
            priority=Priority.BATCH,
        )
        while True:
            try:
                answer = await collect(self.backend.stream(request))
            except Overloaded:
                await asyncio.sleep(BUSY_WAIT_S)
                continue
            if answer.finish_reason == "cancelled":
                raise EngineStopped("the engine ended before the answer did")
            self.asked += 1
            return answer


def weights_of(info: ModelInfo) -> JsonObject:
    """Name what a model's results follow from: its weights, or its name where nobody tells them."""
    made_of = info.provenance
    if not made_of.base_hash:
        return {"model": info.name}
    return {
        "base": made_of.base_hash, "quantization": made_of.quantization,
        "adapter": made_of.adapter_hash,
    }  # fmt: skip


def sampling_json(sampling: Sampling) -> JsonObject:
    """Return what a generated text follows from beside its prompt."""
    chosen = {name: _plain(value) for name, value in sampling.chosen().items()}
    return chosen | ({"seed": sampling.seed} if sampling.temperature else {})


def _plain(value: object) -> Json:
    return list(value) if isinstance(value, tuple) else value  # type: ignore[return-value]


def _likelihood(value: Json) -> Likelihood:
    assert isinstance(value, list)
    return Likelihood(_number(value[0]), bool(value[1]))


def _number(value: Json) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
