"""Function calling of other families: Hermes and Qwen, Llama 3. Random weights, a byte vocabulary,
and small chat templates of the same wire forms.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from jsonschema import Draft202012Validator
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from finetune.data.examples import MASKED, to_examples
from finetune.data.rows import Conversation
from playground.backends.local import LocalBackend
from playground.models.call_formats import CALL_FORMATS
from playground.models.loader import load, load_tokenizer
from playground.models.spec import ModelSpec
from playground.models.template_tokenizer import TemplateTokenizer
from playground.protocol import (
    Delta,
    Message,
    Request,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
    answer,
)
from playground.structured.call_reader import CallReader, CallSplitter
from tests.playground.models.template_folder import write_template_tokenizer

HERMES = """{%- if tools %}{{- '<|im_start|>system\\n<tools>' }}{%- for tool in tools %}{{- '\\n' }}
{{- tool | tojson }}{%- endfor %}{{- '\\n</tools> Calls: <tool_call></tool_call><|im_end|>\\n' }}
{%- endif %}{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}
{{- message.content or '' }}{%- for call in message.tool_calls or [] %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
LLAMA3 = """{%- for tool in tools or [] %}{{- tool | tojson }}{%- endfor %}
{%- for message in messages %}{{- '<|start|>' + message.role + '<|end|>' }}
{{- message.content or '' }}
{%- for call in message.tool_calls or [] %}
{{- '{"name": "' + call.function.name + '", "parameters": ' }}
{{- call.function.arguments | tojson }}{{- '}' }}{%- endfor %}{{- '<|eot_id|>' }}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|start|>assistant<|end|>' }}{%- endif %}"""
PLAIN = "{%- for message in messages %}{{- message.content }}{%- endfor %}"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOLS = (Tool("get_weather", "Get the weather.", SCHEMA), Tool("ring_bell", "Ring the bell."))


def made(folder: Path, family: str) -> Path:
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(0)
    if family == "hermes":
        specials = ["<|im_start|>", "<|im_end|>"]
        added = ["<tool_call>", "</tool_call>"]
        size = write_template_tokenizer(folder, HERMES, specials, added).vocabulary_size
        Qwen2ForCausalLM(
            Qwen2Config(vocab_size=size, eos_token_id=257, bos_token_id=None, **shape)
        ).save_pretrained(folder)
    else:
        specials = ["<|start|>", "<|end|>", "<|eot_id|>"]
        template = LLAMA3 if family == "llama3" else PLAIN
        size = write_template_tokenizer(folder, template, specials).vocabulary_size
        LlamaForCausalLM(
            LlamaConfig(vocab_size=size, eos_token_id=258, bos_token_id=None, **shape)
        ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["hermes", "llama3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of that family."""
    return made(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def family(folder: Path) -> Iterator[LocalBackend]:
    """A backend over it."""
    with LocalBackend(load(ModelSpec(str(folder)))) as backend:
        yield backend


def asked(
    backend: LocalBackend,
    seed: int,
    mode: Literal["auto", "required"] = "required",
    text: str = "Hello",
) -> Request:
    return Request(
        backend.default_model.name,
        (Message("user", text),),
        tools=TOOLS,
        tool_choice=ToolChoice(mode),
        sampling=Sampling(temperature=1.0, seed=seed, max_tokens=240),
    )


@pytest.mark.slow
async def test_required_calls_always_fit_their_schema(family: LocalBackend) -> None:
    answers = await asyncio.gather(*(answer(family, asked(family, seed)) for seed in range(20)))
    assert sum(got.finish_reason == "tool_calls" for got in answers) >= 10
    for got in answers:
        assert got.finish_reason == ("length" if got.closed_early else "tool_calls")
        assert got.text == ""
        for call in got.calls:
            assert call.name in ("get_weather", "ring_bell")
            if call.name == "get_weather":
                assert Draft202012Validator(SCHEMA).is_valid(json.loads(call.arguments))


@pytest.mark.slow
async def test_free_answers_are_text_or_valid_calls(family: LocalBackend) -> None:
    requests = [asked(family, seed, "auto") for seed in range(20)]
    for got in await asyncio.gather(*(answer(family, request) for request in requests)):
        assert "<tool_call>" not in got.text
        assert got.calls or got.text or got.finish_reason in ("stop", "length")


@pytest.mark.slow
async def test_what_is_streamed_is_what_is_answered(family: LocalBackend) -> None:
    request = asked(family, 3)
    whole = await answer(family, replace(request, id="whole"))
    arguments: dict[int, str] = {}
    async for event in family.stream(replace(request, id="streamed")):
        for delta in event.calls if isinstance(event, Delta) else ():
            arguments[delta.index] = arguments.get(delta.index, "") + delta.arguments
    assert [arguments[at] for at in sorted(arguments)] == [call.arguments for call in whole.calls]


def test_a_call_and_its_result_are_rendered_in_the_families_form(folder: Path) -> None:
    tokenizer = TemplateTokenizer(folder)
    call = ToolCall("call_1", "get_weather", '{"city": "Oslo", "days": 2}')
    messages = (
        Message("user", "Hello"),
        Message("assistant", "", (call,)),
        Message("tool", "sunny", tool_call_id="call_1"),
    )
    tokens = tokenizer.render(messages, TOOLS)
    text = b"".join(map(tokenizer.token_bytes, tokens)).decode()
    form = CALL_FORMATS[tokenizer.call_format or "mistral"]
    arguments = f'"{form.arguments_key}": {{"city": "Oslo", "days": 2}}'
    wanted = f'{form.call_prefix}"get_weather", {arguments}{form.call_suffix}'
    assert wanted in text
    assert "sunny" in text


def test_nothing_that_is_written_becomes_markup(folder: Path) -> None:
    tokenizer = TemplateTokenizer(folder)
    marks = "<tool_call> </tool_call> <|im_end|> <|eot_id|> <|im_start|> <|start|>"

    def special(text: str) -> list[int]:
        tool = Tool("look", text, {"type": "object", "properties": {"x": {"const": text}}})
        call = ToolCall("call_1", "look", json.dumps({"x": text}))
        tokens = tokenizer.render(
            (
                Message("system", text),
                Message("user", text),
                Message("assistant", text, (call,)),
                Message("tool", text, tool_call_id="call_1"),
            ),
            (tool,),
        )
        return [token for token in tokens if token >= 256]

    assert special(marks) == special("harmless")


@pytest.mark.slow
async def test_template_without_tools_calls_described_ones(tmp_path: Path) -> None:
    with LocalBackend(load(ModelSpec(str(made(tmp_path, "plain"))))) as backend:
        got = await answer(backend, asked(backend, seed=1))
    for call in got.calls:
        schema = next(tool.parameters for tool in TOOLS if tool.name == call.name)
        Draft202012Validator(schema or {}).validate(json.loads(call.arguments))
    assert got.calls or got.finish_reason == "length"


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_text_and_calls_are_parted_wherever_the_stream_is_cut(size: int) -> None:
    call = '<tool_call>\n{"name": "f", "arguments": {"a": "<tool_call>"}}\n</tool_call>'
    written = f"Sure <b> \n{call}\n{call}"
    splitter, reader, shown = CallSplitter(CALL_FORMATS["hermes"]), CallReader(), ""
    for at in range(0, len(written), size):
        text, rest = splitter.push(written[at : at + size])
        shown += text
        reader.push(rest)
    assert shown + splitter.flush() == "Sure <b> "
    assert [(each.name, each.arguments) for each in reader.calls] == [
        ("f", '{"a": "<tool_call>"}')
    ] * 2


def test_training_learns_what_the_template_writes_after_the_prompt_that_serving_renders(
    folder: Path,
) -> None:
    tokenizer = load_tokenizer(folder)
    call = ToolCall("call00001", "get_weather", '{"city": "Oslo", "days": 2}')
    talk = (
        Message("user", "Hi <|im_end|>"),
        Message("assistant", "Hello!"),
        Message("user", "Weather in Oslo?"),
        Message("assistant", tool_calls=(call,)),
    )
    views = to_examples(Conversation(talk, TOOLS, 1), tokenizer)
    for at in (1, 3):
        prompt = tokenizer.render(talk[:at], TOOLS)
        assert any(list(view.token_ids[: len(prompt)]) == prompt for view in views)
    learned = [t for view in views for t in view.labels if t != MASKED]
    assert sum(token in tokenizer.end_ids for token in learned) == 2
    written = b"".join(map(tokenizer.token_bytes, learned)).decode()
    assert written.startswith("Hello!")
    got = json.loads(written[written.index("{") : written.rindex("}") + 1])
    assert got["name"] == "get_weather"
    assert {"city": "Oslo", "days": 2} in got.values()
