"""A backend as lm-eval sees a model. Its methods are called from a thread without an event loop."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from lm_eval.api.model import LM

from playground.errors import InvalidRequest
from playground.evaluation.harness.scoring import Scorer
from playground.evaluation.harness.token_pairs import Chat, Context
from playground.evaluation.report_card import EvaluationStopped
from playground.protocol import Message, Sampling

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

T = TypeVar("T")
STOP_POLL_S = 0.1
CHAT: Final = "\0chat"
"""Begins the text that stands for a conversation: lm-eval hands contexts on as text."""
MAX_GENERATED_TOKENS = 256
"""Where the task does not say; lm-eval's own."""
TOKEN_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class BackendModel(LM):  # type: ignore[misc]  # lm-eval has no types
    """lm-eval's `LM` over a `Scorer`. Raises `EvaluationStopped` once ``stop_event`` is set."""

    def __init__(self, scorer: Scorer, stop_event: threading.Event, seed: int) -> None:
        super().__init__()
        self._scorer = scorer
        self._stop_event = stop_event
        self._seed = seed

    def loglikelihood(self, requests: "Sequence[Instance]") -> list[tuple[float, bool]]:
        """Score continuations; see `LM`."""
        pairs = [(read_context(each.args[0]), str(each.args[1])) for each in requests]
        found = self._wait(self._scorer.likelihoods(pairs))
        return [(each.logprob, each.greedy) for each in found]

    def loglikelihood_rolling(self, requests: "Sequence[Instance]") -> list[float]:
        """Score whole texts; see `LM`."""
        return self._wait(self._scorer.rolling([str(each.args[0]) for each in requests]))

    def generate_until(self, requests: "Sequence[Instance]") -> list[str]:
        """Generate texts; see `LM`."""
        prompts = [
            (read_context(each.args[0]), sampling_of(each.args[1], self._seed)) for each in requests
        ]
        return self._wait(self._scorer.generate(prompts))

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return a text that stands for the conversation: the backend applies the template."""
        messages = [[each["role"], each["content"]] for each in chat_history]
        return CHAT + json.dumps([messages, not add_generation_prompt], ensure_ascii=False)

    @property
    def tokenizer_name(self) -> str:
        """The model's name."""
        return self._scorer.info.name

    def _wait(self, asking: Coroutine[object, object, T]) -> T:
        if self._stop_event.is_set():
            asking.close()
            raise EvaluationStopped
        return asyncio.run(self._until_stopped(asking))

    async def _until_stopped(self, asking: Coroutine[object, object, T]) -> T:
        task = asyncio.create_task(asking)
        while not task.done():
            await asyncio.wait([task], timeout=STOP_POLL_S)
            if self._stop_event.is_set() and not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                raise EvaluationStopped
        return task.result()


def read_context(text: object) -> Context:
    """Read what lm-eval hands on as a context."""
    given = str(text)
    if not given.startswith(CHAT):
        return given
    messages, continues = json.loads(given.removeprefix(CHAT))
    return Chat(tuple(Message(role, content) for role, content in messages), continues)


def sampling_of(given: Mapping[str, object], seed: int) -> Sampling:
    """Read a task's ``generation_kwargs``. Raises `InvalidRequest` for what no backend has."""
    kwargs = dict(given)
    until = kwargs.pop("until", None)
    ends = until if isinstance(until, (list, tuple)) else [until]
    stop = tuple(str(text) for text in ends if text)
    limits = [kwargs.pop(name, None) for name in TOKEN_LIMITS]
    limit = next((value for value in limits if value is not None), MAX_GENERATED_TOKENS)
    values = {name: kwargs.pop(name) for name in SAMPLED if kwargs.get(name) is not None}
    drawn = kwargs.pop("do_sample", None)
    if drawn is False or (drawn is None and not values.get("temperature")):
        values = {"temperature": 0.0, **_only(values, "repetition_penalty")}
    elif "temperature" not in values:
        values["temperature"] = 1.0
    left = [name for name, value in kwargs.items() if value is not None]
    if left:
        raise InvalidRequest("tasks", f"generation_kwargs.{left[0]}: no backend here has it")
    return Sampling(max_tokens=int(str(limit)), stop=stop, seed=seed, **values)  # type: ignore[arg-type]  # it validates them


def _only(values: Mapping[str, object], name: str) -> dict[str, object]:
    return {name: values[name]} if name in values else {}
