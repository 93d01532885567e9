"""Drives the engine in tests: requests whose sink collects the answer, and ways to wait for it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event

from playground.engine import (
    Engine,
    GenerationRequest,
    GenerationResult,
    TokenScore,
)
from playground.errors import PlaygroundError
from playground.models.adapters import Adapter
from playground.models.loaded import LoadedModel
from playground.protocol import Message, Role, Sampling
from playground.protocol.request import new_request_id

GREEDY = Sampling(temperature=0.0)
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """Everything that a sink was given."""

    token_ids: list[int]
    scores: list[TokenScore | None]
    result: GenerationResult


@dataclass
class CollectingSink:
    """Collects one answer; ``on_token`` is called with the number of tokens so far."""

    stop_after: int | None = None
    on_token: Callable[[int], None] | None = None
    started: Event = field(default_factory=Event)
    prompt_scores: list[TokenScore] = field(default_factory=list)
    _token_ids: list[int] = field(default_factory=list)
    _scores: list[TokenScore | None] = field(default_factory=list)
    _answer: "Future[Answer]" = field(default_factory=Future)

    def take_prompt(self, scores: Sequence[TokenScore]) -> None:
        self.prompt_scores = list(scores)

    def push(self, token_id: int, score: TokenScore | None) -> bool:
        self._token_ids.append(token_id)
        self._scores.append(score)
        self.started.set()
        if self.on_token:
            self.on_token(len(self._token_ids))
        return self.stop_after is not None and len(self._token_ids) >= self.stop_after

    def finish(self, result: GenerationResult) -> None:
        self._answer.set_result(Answer(self._token_ids, self._scores, result))

    def fail(self, error: PlaygroundError) -> None:
        self._answer.set_exception(error)

    def wait(self) -> Answer:
        """Return the whole answer, or raise what ended it."""
        return self._answer.result(TIMEOUT_S)

    def error(self) -> BaseException | None:
        """Return what ended the answer, None if it was answered."""
        return self._answer.exception(TIMEOUT_S)


@dataclass(frozen=True)
class Prompt:
    """What a test asks for; `request` makes a fresh request of it each time."""

    token_ids: Sequence[int]
    sampling: Sampling = GREEDY
    max_tokens: int | None = 60
    grammar: str = ""
    adapter: Adapter | None = None

    def request(self, sink: CollectingSink) -> GenerationRequest:
        return GenerationRequest(
            id=new_request_id(),
            prompt=self.token_ids,
            sampling=self.sampling,
            sink=sink,
            max_tokens=self.max_tokens,
            grammar=self.grammar,
            adapter=self.adapter,
        )


def start(engine: Engine, prompt: Prompt, stop_after: int | None = None) -> CollectingSink:
    """Submit a request and return its sink."""
    sink = CollectingSink(stop_after)
    engine.submit(prompt.request(sink))
    return sink


def generate(engine: Engine, prompt: Prompt) -> Answer:
    """Return the answer to one request."""
    return start(engine, prompt).wait()


def generate_all(engine: Engine, prompts: Sequence[Prompt]) -> list[Answer]:
    """Return the answers to requests that are submitted all at once."""
    sinks = [start(engine, prompt) for prompt in prompts]
    return [sink.wait() for sink in sinks]


def generate_and_cancel(engine: Engine, prompt: Prompt, cancel_after: int) -> Answer:
    """Cancel after so many tokens, which the engine does at the end of that step."""
    sink = CollectingSink()
    request = prompt.request(sink)

    def cancel(tokens: int) -> None:
        if tokens >= cancel_after:
            engine.cancel(request.id)

    sink.on_token = cancel
    engine.submit(request)
    cancel(0)
    return sink.wait()


def token_ids(answers: Sequence[Answer]) -> list[list[int]]:
    """Return the token ids of several answers."""
    return [answer.token_ids for answer in answers]


def render(loaded: LoadedModel, *texts: str) -> list[int]:
    """Return the prompt of a conversation that a user begins."""
    roles: tuple[Role, Role] = ("user", "assistant")
    messages = [Message(roles[i % 2], text) for i, text in enumerate(texts)]
    return loaded.tokenizer.render(messages)


def decode(loaded: LoadedModel, ids: Sequence[int]) -> str:
    """Return the text of an answer."""
    detokenizer = loaded.tokenizer.detokenizer()
    return "".join(map(detokenizer.push, ids)) + detokenizer.flush()
