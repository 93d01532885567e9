"""The unmodified `openai` client over the embedded model."""

import math

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]
GREEDY = {"temperature": 0, "max_tokens": 16}
NONSENSE = [1, 700, 1900, 800, 2500]  # token ids that no sentence has: anything may follow
NO_END = {"2": -100}  # the end token is never chosen


def test_a_chat_completion_has_text_a_reason_and_usage_that_adds_up(client, model):
    reply = client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
    assert reply.object == "chat.completion"
    assert reply.model == model
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.choices[0].logprobs is None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_says_what_the_whole_answer_says(client, model):
    whole = client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
    stream = client.chat.completions.create(model=model, messages=HELLO, stream=True, **GREEDY)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert len(pieces) > 2
    assert "".join(pieces) == whole.choices[0].message.content


def test_one_token_ends_with_reason_length(client, model):
    reply = client.chat.completions.create(
        model=model, messages=HELLO, max_completion_tokens=1, temperature=0
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answer(client, model):
    asked = {"model": model, "messages": HELLO, "temperature": 1.5, "max_tokens": 16, "seed": 7}
    first, second = (client.chat.completions.create(**asked) for _ in range(2))
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.system_fingerprint == second.system_fingerprint


@pytest.mark.slow
def test_n_gives_n_choices_and_the_first_is_what_one_alone_would_be(client, model):
    asked = {"model": model, "messages": HELLO, "temperature": 1.5, "max_tokens": 16, "seed": 7}
    alone = client.chat.completions.create(**asked)
    several = client.chat.completions.create(**asked, n=3)
    texts = [choice.message.content for choice in several.choices]
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert texts[0] == alone.choices[0].message.content
    assert several.usage.prompt_tokens == alone.usage.prompt_tokens


def test_choices_are_drawn_independently(client, model):
    reply = client.completions.create(
        model=model, prompt=NONSENSE, n=4, temperature=2, max_tokens=16, seed=7
    )
    assert len({choice.text for choice in reply.choices}) > 1


def test_streamed_choices_are_told_apart_by_their_index(client, model):
    asked = {"model": model, "messages": HELLO, "max_tokens": 8, "seed": 7, "n": 2}
    whole = client.chat.completions.create(**asked)
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(**asked, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {choice.index: choice.message.content for choice in whole.choices}


@pytest.mark.slow
@pytest.mark.parametrize("as_list", [False, True], ids=["str", "list"])
def test_the_answer_ends_before_a_stop_string(client, model, as_list):
    whole = client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
    text = whole.choices[0].message.content
    stop = text[len(text) // 2 :][:3]
    reply = client.chat.completions.create(
        model=model, messages=HELLO, stop=[stop] if as_list else stop, **GREEDY
    )
    assert reply.choices[0].message.content == text[: text.index(stop)]
    assert reply.choices[0].finish_reason == "stop"


@pytest.mark.slow
def test_logprobs_spell_the_answer_and_each_has_its_alternatives(client, model):
    reply = client.chat.completions.create(
        model=model, messages=HELLO, logprobs=True, top_logprobs=3, **GREEDY
    )
    tokens = reply.choices[0].logprobs.content
    spelled = b"".join(bytes(token.bytes) for token in tokens)
    assert spelled.decode("utf-8", "replace") == reply.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob)  # greedy


@pytest.mark.slow
def test_streamed_logprobs_are_those_of_the_whole_answer(client, model):
    asked = {"model": model, "messages": HELLO, "logprobs": True, **GREEDY}
    whole = client.chat.completions.create(**asked).choices[0].logprobs.content
    streamed = [
        token
        for chunk in client.chat.completions.create(**asked, stream=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert [token.token for token in streamed] == [token.token for token in whole]
    assert all(token.top_logprobs == [] for token in whole)


def test_a_logit_bias_forces_a_token(client, model):
    reply = client.completions.create(
        model=model, prompt="Once", max_tokens=3, logprobs=0, logit_bias={"500": 100}
    )
    assert reply.choices[0].logprobs.token_ids == [500] * 3


def test_text_parts_and_developer_mean_what_text_and_system_mean(client, model):
    plain = [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Hello!\nWho are you?"},
    ]
    parts = [
        {"role": "developer", "content": [{"type": "text", "text": "Answer in one word."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hello!"},
                {"type": "text", "text": "Who are you?"},
            ],
        },
    ]
    replies = [
        client.chat.completions.create(model=model, messages=messages, **GREEDY)
        for messages in (plain, parts)
    ]
    assert replies[0].choices == replies[1].choices
    assert replies[0].usage.total_tokens == replies[1].usage.total_tokens


@pytest.mark.slow
def test_an_answer_can_be_sent_back_as_the_client_gave_it(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
    messages = [*HELLO, answer.choices[0].message.model_dump(), *HELLO]
    reply = client.chat.completions.create(model=model, messages=messages, **GREEDY)
    assert reply.usage.prompt_tokens > answer.usage.prompt_tokens


def test_a_history_with_tool_calls_is_taken(client, model):
    call = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    messages = [
        {"role": "user", "content": "How warm is it in Paris?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "abcDEF123", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "abcDEF123", "content": '{"celsius": 21}'},
    ]
    reply = client.chat.completions.create(model=model, messages=messages, **GREEDY)
    assert reply.usage.prompt_tokens > len(messages)


def test_a_completion_continues_its_prompt(client, model):
    reply = client.completions.create(model=model, prompt="Hello", temperature=0, echo=True)
    assert reply.object == "text_completion"
    assert reply.choices[0].text.startswith("Hello")
    assert reply.usage.completion_tokens <= 16  # OpenAI's default, unlike in chat


def test_a_streamed_completion_says_what_the_whole_one_says(client, model):
    asked = {"model": model, "prompt": "Hello", "temperature": 0, "echo": True}
    whole = client.completions.create(**asked)
    stream = client.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_several_prompts_get_n_completions_each_in_order(client, model):
    asked = {"model": model, "temperature": 1.2, "seed": 3, "max_tokens": 4}
    reply = client.completions.create(prompt=["Hello", "The"], n=2, **asked)
    alone = client.completions.create(prompt="The", n=2, **asked)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in reply.choices[2:]] == [
        choice.text for choice in alone.choices
    ]


def test_token_ids_are_taken_as_they_are(client, model):
    asked = {"model": model, "temperature": 0, "max_tokens": 4}
    ids = [1, 40, 50]
    one = client.completions.create(prompt=ids, **asked)
    several = client.completions.create(prompt=[ids, ids], **asked)
    assert one.usage.prompt_tokens == 3
    assert [choice.text for choice in several.choices] == [one.choices[0].text] * 2


def test_legacy_logprobs_have_offsets_into_the_text(client, model):
    reply = client.completions.create(
        model=model, prompt="Hello", temperature=0, logprobs=2, max_tokens=8, logit_bias=NO_END
    )
    logprobs, text = reply.choices[0].logprobs, reply.choices[0].text
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset)
    assert logprobs.text_offset[0] == 0
    assert logprobs.text_offset == sorted(logprobs.text_offset)
    for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
        assert "\ufffd" in token or text[offset:].startswith(token)
    assert all(len(top) <= 2 for top in logprobs.top_logprobs)
    assert all(math.isfinite(logprob) for logprob in logprobs.token_logprobs)


def test_models_are_listed_and_found(client, model):
    assert [each.id for each in client.models.list()] == [model]
    assert client.models.retrieve(model).object == "model"


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "invalid_value"),
        ({"max_tokens": 0}, openai.BadRequestError, "invalid_value"),
        ({"temperature": "hot"}, openai.BadRequestError, "invalid_type"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_errors_are_the_clients_own_exceptions(client, model, change, error, code, stream):
    asked = {"model": model, "messages": HELLO, **GREEDY} | change
    with pytest.raises(error) as caught:
        client.chat.completions.create(**asked, stream=stream)
    assert caught.value.code == code
    assert caught.value.param == next(iter(change))
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_to_retrieve_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("mistralai/No-Such-Model")
