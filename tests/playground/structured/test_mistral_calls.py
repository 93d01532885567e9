"""The whole way of calls and reasoning, for each version of Mistral's tokenizers: in the prompt,
from a random model held by the grammar, streamed and whole, back as history, as a training row.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from finetune.data.examples import MASKED, to_examples
from finetune.data.training_row import Conversation
from playground.backends.local import LocalBackend
from playground.backends.local.prompt import PromptRenderer
from playground.errors import InvalidRequest
from playground.models.loader import load
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.spec import ModelSpec
from playground.protocol import (
    Answer,
    Delta,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    collect,
)
from tests.playground.models.mistral_files import KINDS, write_model

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"enum": [1, 2, 30]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = (Tool("get_weather", "The weather", SCHEMA), Tool("f-2", "Another", SCHEMA))
QUESTION = (Message("system", "Be brief."), Message("user", "Hi"))
FORMS = {
    "v1": '<tool_call>\n{"name": "NAME", "arguments": ARGS}\n</tool_call>',
    "v2": '[TOOL_CALLS][{"name": "NAME", "arguments": ARGS}]',
    "v3": '[TOOL_CALLS][{"name": "NAME", "arguments": ARGS}]',
    "v7": '[TOOL_CALLS][{"name": "NAME", "arguments": ARGS}]',
    "v11": "[TOOL_CALLS]NAME[ARGS]ARGS",
    "v13": "[TOOL_CALLS]NAME[ARGS]ARGS",
    "v15": "[TOOL_CALLS]NAME[ARGS]ARGS",
}
"""How a call is written, as it is learned: without an id."""
HISTORY = FORMS | {
    "v3": '[TOOL_CALLS][{"name": "NAME", "arguments": ARGS, "id": "ID"}]',
    "v7": '[TOOL_CALLS][{"name": "NAME", "arguments": ARGS, "id": "ID"}]',
    "v11": "[TOOL_CALLS]NAME[CALL_ID]ID[ARGS]ARGS",
}
"""How it is written in the conversation so far."""


class Served:
    """A backend over a random model with a tokenizer of one kind."""

    def __init__(self, backend: LocalBackend, kind: str) -> None:
        self.backend = backend
        self.version = kind.split()[0]
        tokenizer = backend.loaded.tokenizer
        assert isinstance(tokenizer, MistralTokenizer)
        self.tokenizer = tokenizer
        self._calls: dict[int, tuple[Answer, list[int]]] = {}

    async def ask(self, seed: int, messages: tuple[Message, ...] = QUESTION, **wanted: object):
        """The answer, its deltas and its token ids."""
        thinking = self.tokenizer.thinking
        bias = {thinking.begin_id: 8, thinking.end_id: 7} if thinking else {}
        sampling = Sampling(temperature=1, seed=seed, max_tokens=400, logprobs=0, logit_bias=bias)
        request = Request(self.backend.default_model.name, messages, sampling=sampling)
        request = replace(request, **wanted)  # type: ignore[arg-type]
        deltas: list[Delta] = []

        async def noted():
            async for event in self.backend.stream(request):
                deltas.extend([event] if isinstance(event, Delta) else [])
                yield event

        answer = await collect(noted())
        return answer, deltas, [token.token_id for token in answer.logprobs]

    async def one_call(self, seed: int) -> tuple[Answer, list[int]]:
        """The answer that is a call, and its token ids: drawn once, for all that is said of it."""
        if seed not in self._calls:
            choice = ToolChoice("required", parallel=False)
            answer, _, ids = await self.ask(seed, tools=TOOLS, tool_choice=choice)
            self._calls[seed] = answer, ids
        return self._calls[seed]

    def written(self, ids: list[int]) -> str:
        """Tokens with their control tokens, and without SentencePiece's spaces before texts."""
        names = self.tokenizer.control_tokens
        text = ""
        for token in ids:
            name = names.get(token)
            text += f"[{name[1:-1]}]" if name else self.tokenizer.token_bytes(token).decode("latin")
        prefix = self.tokenizer.text_prefix
        return text.replace(f"]{prefix}", "]") if prefix else text


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    write_model(folder, request.param)
    with LocalBackend(load(ModelSpec(str(folder), device="cpu"))) as backend:
        yield Served(backend, request.param)


@pytest.mark.parametrize("seed", range(2))
async def test_call_has_the_form_of_its_version(served: Served, seed: int) -> None:
    answer, ids = await served.one_call(seed)
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.calls
    Draft202012Validator(SCHEMA).validate(json.loads(call.arguments))
    text = served.written(ids).split("[/THINK]")[-1]
    own_id = f"[CALL_ID]{call.id}"
    assert text.replace(own_id, "").removesuffix("[/s]") == _filled(FORMS, served, answer)


def _filled(forms: dict[str, str], served: Served, answer: Answer) -> str:
    (call,) = answer.calls
    arguments = call.arguments.encode().decode("latin")
    form = forms[served.version].replace("[ARGS]", "[\0]").replace("[CALL_ID]", "[\1]")
    filled = form.replace("NAME", call.name).replace("ID", call.id).replace("ARGS", arguments)
    return filled.replace("[\0]", "[ARGS]").replace("[\1]", "[CALL_ID]")


@pytest.mark.parametrize("seed", range(2))
async def test_stream_and_whole_have_the_same_calls(served: Served, seed: int) -> None:
    choice = ToolChoice("required")
    answer, deltas, _ = await served.ask(seed, tools=TOOLS, tool_choice=choice)
    streamed: dict[int, list[str]] = {}
    for piece in (call for delta in deltas for call in delta.calls):
        parts = streamed.setdefault(piece.index, [piece.id, piece.name, ""])
        parts[2] += piece.arguments
    calls = [*answer.calls, *([answer.cut_call] if answer.cut_call else [])]
    assert list(streamed.values()) == [[call.id, call.name, call.arguments] for call in calls]
    assert len({call.id for call in calls}) == len(calls)
    if served.version == "v2":
        assert len(calls) == 1


@pytest.mark.parametrize("seed", range(2))
async def test_calls_go_back_as_history(served: Served, seed: int) -> None:
    answer, ids = await served.one_call(seed)
    said = Message("assistant", answer.text, answer.calls, reasoning=answer.reasoning)
    result = Message("tool", '{"t": 21}', tool_call_id=answer.calls[0].id)
    if served.tokenizer.call_format is None:  # text tells what the template cannot
        asked = Request(served.backend.default_model.name, (*QUESTION, said, result))
        text = served.written(PromptRenderer(served.tokenizer, 4096).render(asked).token_ids)
        assert _filled(FORMS, served, answer) in text
        return
    prompt = served.tokenizer.render(QUESTION, TOOLS)
    told = served.tokenizer.render((*QUESTION, said, result), TOOLS)
    assert told[: len(prompt)] == prompt
    text = served.written(told[len(prompt) :])
    assert _filled(HISTORY, served, answer) + "[/s][TOOL_RESULTS]" in text
    if served.version in ("v13", "v15") or "[CALL_ID]" in served.written(ids):
        spelled = served.written(ids)
        assert text.startswith(spelled.removesuffix("[/s]"))
    again = Request(served.backend.default_model.name, (*QUESTION, said, result), tools=TOOLS)
    assert await served.backend.count_tokens(again) == len(told)


@pytest.mark.parametrize("seed", range(2))
async def test_training_row_renders_the_prompt_and_the_answer(served: Served, seed: int) -> None:
    answer, _ = await served.one_call(seed)
    said = Message("assistant", answer.text, answer.calls, reasoning=answer.reasoning)
    row = Conversation((*QUESTION, said), TOOLS)
    if served.tokenizer.call_format is None:
        with pytest.raises(InvalidRequest, match="no tool calls"):
            to_examples(row, served.tokenizer)
        return
    (example,) = to_examples(row, served.tokenizer)
    prompt = served.tokenizer.render(QUESTION, TOOLS)
    assert list(example.token_ids[: len(prompt)]) == prompt
    assert set(example.labels[: len(prompt)]) == {MASKED}
    learned = served.written(list(example.labels[len(prompt) :]))
    thought = f"[THINK]{answer.reasoning.encode().decode('latin')}[/THINK]"
    form = _filled(FORMS, served, answer) + "[/s]"
    assert learned == (thought + form if answer.reasoning else form)


@pytest.mark.parametrize("seed", range(2))
async def test_schema_holds(served: Served, seed: int) -> None:
    answer, _, ids = await served.ask(seed, response_format=ResponseFormat(SCHEMA))
    if answer.finish_reason == "stop":
        Draft202012Validator(SCHEMA).validate(json.loads(answer.text))
        assert answer.guarantee == "strict"
    text = served.written(ids)
    assert ("[THINK]" in text) == (served.version == "v15")


async def test_thinking_is_reasoning(served: Served) -> None:
    thinking = served.tokenizer.thinking
    if thinking is None:
        assert not served.backend.default_model.capabilities.reasoning
        return
    choice = ToolChoice("required", parallel=False)
    for seed in range(3):
        answer, deltas, ids = await served.ask(seed, tools=TOOLS, tool_choice=choice)
        assert ids[0] == thinking.begin_id
        spelled = map(served.tokenizer.token_bytes, ids[1 : ids.index(thinking.end_id)])
        assert answer.reasoning == b"".join(spelled).decode("utf-8", "replace")
        assert "".join(delta.reasoning for delta in deltas) == answer.reasoning
        assert (answer.text, answer.finish_reason) == ("", "tool_calls")
