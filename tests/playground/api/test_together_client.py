"""The unmodified `together` client over the embedded model, with either base URL."""

import httpx
import pytest
import together

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]
GREEDY = {"temperature": 0, "max_tokens": 8}


@pytest.mark.slow
def test_a_chat_completion_answers(together_client, model):
    reply = together_client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
    assert reply.choices[0].message.content
    assert reply.prompt == []
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_says_what_the_whole_answer_says(together_client, model):
    create = together_client.chat.completions.create
    whole = create(model=model, messages=HELLO, **GREEDY)
    stream = create(model=model, messages=HELLO, stream=True, **GREEDY)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == whole.choices[0].message.content


@pytest.mark.slow
def test_top_k_of_one_and_min_p_of_one_are_greedy(together_client, model):
    create = together_client.chat.completions.create
    hot = {"temperature": 2.0, "max_tokens": 8}
    greedy = create(model=model, messages=HELLO, **GREEDY).choices[0].message.content
    assert create(model=model, messages=HELLO, top_k=1, **hot).choices[0].message.content == greedy
    assert (
        create(model=model, messages=HELLO, min_p=1.0, **hot).choices[0].message.content == greedy
    )


def test_logprobs_by_number_come_in_togethers_shape(together_client, model):
    reply = together_client.chat.completions.create(
        model=model, messages=HELLO, logprobs=2, **GREEDY
    )
    logprobs = reply.choices[0].logprobs
    assert "".join(logprobs.tokens) == reply.choices[0].message.content
    assert len(logprobs.token_ids) == len(logprobs.token_logprobs) == len(logprobs.tokens)
    for token, logprob, top in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
    ):
        assert top[token] == pytest.approx(logprob)


def test_streamed_logprobs_by_number_come_a_token_a_chunk(together_client, model):
    create = together_client.chat.completions.create
    whole = create(model=model, messages=HELLO, logprobs=1, **GREEDY)
    stream = create(model=model, messages=HELLO, logprobs=1, stream=True, **GREEDY)
    choices = [chunk.choices[0] for chunk in stream]
    scored = [choice for choice in choices if choice.logprobs is not None]
    assert [choice.delta.token_id for choice in scored] == whole.choices[0].logprobs.token_ids
    assert [choice.logprobs for choice in scored] == pytest.approx(
        whole.choices[0].logprobs.token_logprobs
    )


def test_a_completion_repeats_its_prompt_where_the_client_looks(together_client, model):
    reply = together_client.completions.create(model=model, prompt="Hello", echo=True, **GREEDY)
    assert reply.prompt[0].text == "Hello"
    assert reply.choices[0].text.startswith("Hello")


def test_a_streamed_completion_answers(together_client, model):
    create = together_client.completions.create
    whole = create(model=model, prompt="Hello", **GREEDY)
    stream = create(model=model, prompt="Hello", stream=True, **GREEDY)
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_models_are_listed_for_any_project(together_client, model):
    listed = list(together_client.models.list(project_id="mine"))
    assert [each.id for each in listed] == [model]
    assert together_client.models.retrieve(model, project_id="mine").name == model


def test_an_unknown_model_is_not_found(together_client):
    with pytest.raises(together.NotFoundError):
        together_client.chat.completions.create(model="gpt-4", messages=HELLO)


def test_a_prompt_too_long_is_refused_and_never_cut(together_client, model):
    long = [{"role": "user", "content": "word " * 3000}]
    with pytest.raises(together.BadRequestError, match="maximum context length"):
        together_client.chat.completions.create(
            model=model, messages=long, context_length_exceeded_behavior="truncate"
        )


@pytest.mark.slow
def test_an_answer_beyond_the_context_is_an_error_if_asked(together_client, model):
    create = together_client.chat.completions.create
    change = {"model": model, "messages": HELLO, "max_tokens": 5000}
    with pytest.raises(together.BadRequestError, match="were requested"):
        create(**change, context_length_exceeded_behavior="error")
    assert create(**change, context_length_exceeded_behavior="truncate").choices


@pytest.mark.parametrize("agent", ["Together/v1 PythonBindings/1.6.0", "Together/JS 0.52.0"])
def test_other_clients_get_a_bare_list_of_models(server_url, model, agent):
    reply = httpx.get(f"{server_url}/v1/models", headers={"user-agent": agent})
    (first, *_) = reply.json()
    assert (first["id"], first["object"], first["pricing"]["input"]) == (model, "model", 0)
