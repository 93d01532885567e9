"""Each kind of server on recorded conversations: what it is sent, and how its answers are read."""

import asyncio
import math
from pathlib import Path

import httpx
import pytest

from playground.backends.openai_compatible.logprobs import UNKNOWN_ID
from playground.errors import BackendUnavailable, ContextOverflow, InvalidRequest, RequestFailed
from playground.protocol import (
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
    answer,
    collect,
)
from tests.playground.backends.openai_compatible.recorded import (
    Recording,
    asking,
    chunk,
    ndjson,
    recording,
    replayed,
    sse,
    used,
    whole,
)
from tests.playground.backends.openai_compatible.servers import (
    CALLS,
    CHAT,
    CHATS,
    GREETED,
    MISTRAL_MODELS,
    NOTE,
    OLLAMA,
    TRIALS,
    TRIED,
    VLLM_MODELS,
)


def told(*answers, models=VLLM_MODELS) -> Recording:
    """A server that passes the trials, and then gives these answers."""
    return recording({"/v1/models": models, CHATS: [TRIED] * TRIALS + list(answers)})


@pytest.mark.parametrize("kind", ["openai", "vllm", "llama.cpp", "together", "playground"])
async def test_chat_is_read_whole(kind: str) -> None:
    with replayed(told(CHAT), kind) as backend:
        got = await collect(backend.stream(asking()))
    assert (got.text, got.finish_reason) == ("Hi there\u2028!", "stop")
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 4)


@pytest.mark.parametrize("kind", ["openai", "vllm", "llama.cpp"])
async def test_logprobs_are_read(kind: str) -> None:
    sampling = Sampling(temperature=0, logprobs=2)
    with replayed(told(CHAT), kind) as backend:
        got = await collect(backend.stream(asking(sampling=sampling)))
    (token,) = got.logprobs
    assert (token.text, token.logprob, token.token_id) == ("Hi", -0.25, UNKNOWN_ID)
    assert [other.text for other in token.alternatives] == ["Hi", "Yo"]


async def test_calls_are_read_in_pieces() -> None:
    with replayed(told(CALLS), "vllm") as backend:
        got = await collect(backend.stream(asking(tools=(NOTE,))))
    assert got.calls == (ToolCall("qHYGB3mZo", "note", '{"word": "hello"}'),)
    assert (got.finish_reason, got.guarantee) == ("tool_calls", "checked")


async def test_vllm_gets_its_own_parameters() -> None:
    kept = told(CHAT)
    sampling = Sampling(temperature=0.5, min_tokens=2, stop_token_ids=(3,), repetition_penalty=1.1)
    form = ResponseFormat(kind="regex", pattern="Hi.*")
    with replayed(kept, "vllm") as backend:
        await collect(backend.stream(asking(sampling=sampling, response_format=form)))
    body = kept.bodies(CHATS)[-1]
    assert body["structured_outputs"] == {"regex": "Hi.*"}
    assert (body["min_tokens"], body["stop_token_ids"], body["top_k"]) == (2, [3], 0)
    assert body["stream_options"] == {"include_usage": True}


async def test_vllm_prompt_logprobs_come_first() -> None:
    scored = [None, {"7": {"logprob": -1.5, "rank": 2, "decoded_token": "lo"}}]
    last = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    whole_answer = whole({"choices": [last], "prompt_logprobs": scored})
    kept = told(whole_answer)
    with replayed(kept, "vllm") as backend:
        request = asking(sampling=Sampling(temperature=0, prompt_logprobs=1))
        got = await collect(backend.stream(request))
    first, second = got.prompt_logprobs
    assert math.isnan(first.logprob)
    assert (second.token_id, second.text, second.logprob) == (7, "lo", -1.5)
    assert kept.bodies(CHATS)[-1]["stream"] is False


async def test_vllm_adapter_is_a_model() -> None:
    with replayed(told(CHAT), "vllm") as backend:
        await backend.refresh()
        base, adapter = await backend.models()
    assert (base.name, base.context_length, base.adapter) == ("far/m", 8192, "")
    assert (adapter.name, adapter.adapter) == ("far/cardio", "far/cardio")
    assert adapter.capabilities == base.capabilities


def test_vllm_loads_and_unloads_adapters() -> None:
    done = httpx.Response(200, text="Success: LoRA adapter 'cardio' added successfully.")
    base = {"id": "m", "object": "model", "max_model_len": 8192}
    without = whole({"object": "list", "data": [base]})
    kept = told(CHAT, models=[without, VLLM_MODELS, without])
    kept.answers |= {f"/v1/{verb}_lora_adapter": [done] for verb in ("load", "unload")}
    with replayed(kept, "vllm") as backend:
        asyncio.run(backend.refresh())
        info = backend.load_adapter(Path("/shared/cardio-v2"), "far/cardio")
        assert (info.name, info.capabilities.tools) == ("far/cardio", True)
        backend.unload_adapter("far/cardio")
        names = [model.name for model in asyncio.run(backend.models())]
    assert names == ["far/m"]
    (loaded,) = kept.bodies("/v1/load_lora_adapter")
    assert loaded == {"lora_name": "cardio", "lora_path": "/shared/cardio-v2"}
    assert kept.bodies("/v1/unload_lora_adapter") == [{"lora_name": "cardio"}]


def test_other_servers_load_no_adapters() -> None:
    with replayed(told(CHAT)) as backend, pytest.raises(InvalidRequest, match="does not load"):
        backend.load_adapter(Path("/shared/cardio"), "far/cardio")


async def test_missing_tool_parser_is_said() -> None:
    problem = (
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    )
    refusal = whole({"error": {"message": problem, "type": "BadRequestError", "code": 400}}, 400)
    kept = recording({"/v1/models": VLLM_MODELS, CHATS: [refusal, TRIED]})
    with replayed(kept, "vllm") as backend, pytest.raises(InvalidRequest, match="tool-call-parser"):
        await collect(backend.stream(asking(tools=(NOTE,))))


async def test_schema_that_is_ignored_shows() -> None:
    prose = {"index": 0, "message": {"content": "Hello!"}, "finish_reason": "stop"}
    kept = recording({"/v1/models": VLLM_MODELS, CHATS: whole({"choices": [prose]})})
    with replayed(kept, "openai") as backend:
        await backend.refresh()
        can = (await backend.models())[0].capabilities
    assert (can.tools, can.schema, can.logprobs) == (False, False, False)
    assert "answered something else" in can.why_not["schema"]


async def test_broken_json_is_asked_for_again() -> None:
    bad = sse(chunk({"content": '{"greeted": 1}'}, "stop"), used(5, 5))
    good = sse(chunk({"content": '{"greeted": true}'}, "stop"), used(5, 5))
    with replayed(told(bad, good), "together") as backend:
        got = await answer(backend, asking(response_format=ResponseFormat(GREETED)))
    assert (got.text, got.guarantee, got.tries) == ('{"greeted": true}', "checked", 2)


async def test_strict_schema_is_enforced_here() -> None:
    bad = sse(chunk({"content": '{"greeted": 1}'}, "stop"))
    form = ResponseFormat(GREETED, strict=True)
    with replayed(told(bad), "vllm") as backend, pytest.raises(RequestFailed, match="schema"):
        await collect(backend.stream(asking(response_format=form)))


async def test_choice_is_checked_here() -> None:
    form = ResponseFormat(kind="choice", choices=("yes", "no"))
    other = sse(chunk({"content": "maybe"}, "stop"))
    kept = told(other)
    with replayed(kept, "llama.cpp") as backend:
        got = await collect(backend.stream(asking(response_format=form)))
    assert got.guarantee == "none"
    assert kept.bodies(CHATS)[-1]["grammar"] == 'root ::= "yes" | "no"'


async def test_llama_cpp_overflow_has_its_numbers() -> None:
    problem = {
        "code": 400,
        "message": "request (13392 tokens) exceeds the available context size (8192 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 13392,
        "n_ctx": 8192,
    }
    kept = told(whole({"error": problem}, 400))
    with replayed(kept, "llama.cpp") as backend, pytest.raises(ContextOverflow, match="8192"):
        await collect(backend.stream(asking()))


async def test_together_scores_beside_the_text() -> None:
    kept = told(
        sse(
            chunk({"content": "Hi", "token_id": 9}, logprobs=-0.5, top_logprobs={"Hi": -0.5}),
            chunk({"content": ""}, "eos") | {"usage": used(3, 1)["usage"]},
        )
    )
    with replayed(kept, "together") as backend:
        got = await collect(backend.stream(asking(sampling=Sampling(temperature=0, logprobs=1))))
    (token,) = got.logprobs
    assert (token.token_id, token.text, token.logprob) == (9, "Hi", -0.5)
    assert got.finish_reason == "stop"


async def test_mistral_speaks_its_dialect() -> None:
    kept = recording({"/v1/models": MISTRAL_MODELS, CHATS: CHAT})
    call = ToolCall("call-from-elsewhere", "note", "{}")
    messages = (
        Message("user", "Note it."),
        Message("assistant", "", (call,)),
        Message("tool", "done", tool_call_id=call.id),
    )
    request = Request("far/m", messages, sampling=Sampling(temperature=0, seed=5))
    with replayed(kept, "mistral") as backend:
        await collect(backend.stream(request))
        can = (await backend.models())[0].capabilities
    body = kept.bodies(CHATS)[-1]
    assert body["random_seed"] == 5
    ids = {body["messages"][1]["tool_calls"][0]["id"], body["messages"][2]["tool_call_id"]}
    assert len(ids) == 1
    assert len(ids.pop()) == 9
    assert "stream_options" not in body
    assert (can.tools, can.schema, can.logprobs) == (False, True, False)


async def test_mistral_thinking_is_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    stream = sse(
        chunk({"content": [thinking]}), chunk({"content": [{"type": "text", "text": "Hi"}]}, "stop")
    )
    kept = recording({"/v1/models": MISTRAL_MODELS, CHATS: stream})
    with replayed(kept, "mistral") as backend:
        got = await collect(backend.stream(asking()))
    assert (got.reasoning, got.text) == ("Hm.", "Hi")


async def test_ollama_chats_by_its_own_api() -> None:
    stream = ndjson(
        {"model": "m", "message": {"role": "assistant", "thinking": "Hm."}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": False},
        {
            "model": "m",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "length",
            "prompt_eval_count": 26,
            "eval_count": 2,
        },
    )
    kept = recording(OLLAMA | {"/api/chat": stream})
    models = [{"id": "m", "context_length": 8192}]
    with replayed(kept, "ollama", models=models) as backend:
        got = await collect(backend.stream(asking()))
    assert (got.reasoning, got.text, got.finish_reason) == ("Hm.", "Hi", "length")
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (26, 2)
    options = kept.bodies("/api/chat")[-1]["options"]
    assert (options["num_ctx"], options["num_predict"], options["repeat_penalty"]) == (8192, 32, 1)


async def test_ollama_calls_have_objects() -> None:
    function = {"name": "note", "arguments": {"word": "hello"}}
    stream = ndjson(
        {"message": {"role": "assistant", "tool_calls": [{"function": function}]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
    with replayed(recording(OLLAMA | {"/api/chat": stream}), "ollama") as backend:
        got = await collect(backend.stream(asking(tools=(NOTE,))))
    assert [(call.name, call.arguments) for call in got.calls] == [("note", '{"word": "hello"}')]
    assert got.finish_reason == "tool_calls"


async def test_ollama_says_what_models_can() -> None:
    with replayed(recording(dict(OLLAMA)), "ollama", models=[]) as backend:
        await backend.refresh()
        (info,) = await backend.models()
    assert info.context_length == 131072
    assert (info.capabilities.tools, info.capabilities.logprobs) == (True, False)
    assert "0.12.11" in info.capabilities.why_not["logprobs"]


async def test_ollama_logprobs_are_read() -> None:
    scores = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]
    stream = ndjson(
        {"message": {"role": "assistant", "content": "Hi"}, "logprobs": scores, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
    newer = OLLAMA | {"/api/version": whole({"version": "0.13.0"}), "/api/chat": stream}
    with replayed(recording(newer), "ollama") as backend:
        got = await collect(backend.stream(asking(sampling=Sampling(temperature=0, logprobs=1))))
    assert [(token.text, token.logprob) for token in got.logprobs] == [("Hi", -0.5)]


async def test_ollama_refuses_forced_calls() -> None:
    request = asking(tools=(NOTE,), tool_choice=ToolChoice("required"))
    with (
        replayed(recording(dict(OLLAMA)), "ollama") as backend,
        pytest.raises(InvalidRequest, match="use auto"),
    ):
        await collect(backend.stream(request))


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("openai", {"sampling": Sampling(top_k=3)}, "top_k"),
        ("openai", {"sampling": Sampling(prompt_logprobs=1)}, "prompt_logprobs"),
        ("together", {"template_kwargs": {"x": 1}}, "chat_template_kwargs"),
        ("llama.cpp", {"response_format": ResponseFormat(kind="regex", pattern="a")}, "response"),
        ("openai", {"messages": (), "prompt": (1, 2)}, "prompt"),
    ],
)
async def test_what_a_dialect_lacks_is_refused(kind: str, fields: dict, field: str) -> None:
    with replayed(told(CHAT), kind) as backend, pytest.raises(InvalidRequest, match=field):
        await collect(backend.stream(asking(**fields)))


async def test_call_of_no_such_function_fails() -> None:
    other = Tool("other", "", None)
    with replayed(told(CALLS), "vllm") as backend, pytest.raises(RequestFailed, match="note"):
        await collect(backend.stream(asking(tools=(other,))))


async def test_server_without_a_list_is_used() -> None:
    kept = recording({"/v1/models": whole({"detail": "no"}, 500), CHATS: [*[TRIED] * TRIALS, CHAT]})
    with replayed(kept) as backend:
        got = await collect(backend.stream(asking()))
    assert got.text.startswith("Hi")


async def test_models_wait_for_no_network() -> None:
    with replayed(recording({})) as backend:
        (info,) = await backend.models()
        assert not info.capabilities.tools
        with pytest.raises(BackendUnavailable):
            await backend.refresh()
