"""together for Python, of version 3 and of version 1: chat, files, fine-tuning, batches."""

import json
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import together

from clients import cases
from clients.scenarios import Client, base_url, raises

OLD = metadata.version("together").startswith("1.")
CLIENT = Client("together 1" if OLD else "together", "together")
api = together.Together(base_url=f"{base_url()}/v1", api_key="any", max_retries=0)
scenario = CLIENT.scenario
if OLD:
    from together.error import TogetherException as Failure
else:
    from together import APIStatusError as Failure

TRAIN_S = 240


def chat(**options: Any) -> Any:
    """A chat completion with the defaults of all scenarios."""
    return api.chat.completions.create(
        **{
            "model": cases.MODEL,
            "messages": cases.MESSAGES,
            "max_tokens": 16,
            "temperature": 0,
            **options,
        }
    )


def asked_weather(**options: Any) -> Any:
    """A chat whose answer has to be a call."""
    return chat(
        messages=cases.ASK_WEATHER,
        tools=cases.TOOLS,
        tool_choice="required",
        max_tokens=80,
        **options,
    )


def written(data: bytes) -> Path:
    """A file with these bytes."""
    path = Path(tempfile.mkdtemp()) / "rows.jsonl"
    path.write_bytes(data)
    return path


def plain(thing: Any) -> dict[str, Any]:
    """An answer as a dictionary, of either version."""
    return thing.model_dump()  # type: ignore[no-any-return]


@scenario("chat")
def _() -> None:
    assert chat().choices[0].message.content


@scenario("stream")
def _() -> None:
    chunks = [chunk for chunk in chat(stream=True) if chunk.choices]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == chat().choices[0].message.content


@scenario("async")
async def _() -> None:
    client = together.AsyncTogether(base_url=f"{base_url()}/v1", api_key="any")
    answer = await client.chat.completions.create(
        model=cases.MODEL, messages=cases.MESSAGES, max_tokens=8
    )
    assert answer.choices[0].message.content


@scenario("tools")
def _() -> None:
    (call,) = asked_weather().choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in cases.CITIES


NO_CALLS = "the client's: its type of a stream's pieces has no tool calls" if OLD else ""


@scenario("tools in stream", NO_CALLS)
def _() -> None:
    chunks = [chunk for chunk in asked_weather(stream=True) if chunk.choices]
    assert any(chunk.choices[0].delta.tool_calls for chunk in chunks)


@scenario("tool round trip")
def _() -> None:
    message = plain(asked_weather().choices[0].message)
    result = {
        "role": "tool",
        "tool_call_id": message["tool_calls"][0]["id"],
        "content": "3 degrees",
    }
    chat(messages=[*cases.ASK_WEATHER, message, result], tools=cases.TOOLS, max_tokens=40)


@scenario("structured output")
def _() -> None:
    answer = chat(response_format=cases.JSON_SCHEMA, max_tokens=60)
    assert json.loads(answer.choices[0].message.content)["city"] in cases.CITIES


@scenario("JSON mode")
def _() -> None:
    form = {"type": "json_object", "schema": cases.SCHEMA}
    answer = chat(response_format=form, max_tokens=60)
    assert json.loads(answer.choices[0].message.content)["city"] in cases.CITIES


@scenario("regular expression")
def _() -> None:
    form = {"type": "regex", "pattern": "(Oslo|Paris)"}
    assert chat(response_format=form).choices[0].message.content in cases.CITIES


@scenario("stop")
def _() -> None:
    whole = chat().choices[0].message.content
    assert len(chat(stop=[whole[4:6]]).choices[0].message.content) < len(whole)


@scenario("n")
def _() -> None:
    assert len(chat(n=2, temperature=1).choices) == 2


@scenario("logprobs")
def _() -> None:
    assert plain(chat(logprobs=1).choices[0])["logprobs"]["token_logprobs"]


@scenario("seed")
def _() -> None:
    texts = {chat(temperature=1, seed=7).choices[0].message.content for _ in range(2)}
    assert len(texts) == 1


@scenario("completions")
def _() -> None:
    answer = api.completions.create(model=cases.MODEL, prompt="The capital", max_tokens=4)
    assert answer.choices[0].text


@scenario("echo with logprobs")
def _() -> None:
    answer = api.completions.create(
        model=cases.MODEL, prompt="The capital", max_tokens=2, echo=True, logprobs=1
    )
    assert answer.choices[0].text or plain(answer)["prompt"]


@scenario("models")
def _() -> None:
    named = {} if OLD else {"project_id": "mine"}
    assert cases.MODEL in [model.id for model in api.models.list(**named)]


@scenario("cancel")
def _() -> None:
    stream = chat(stream=True, max_tokens=1000)
    next(iter(stream))
    if not OLD:
        stream.close()
    assert chat().choices


@scenario("files")
def _() -> None:
    file_id = api.files.upload(written(cases.ROWS), purpose="fine-tune", check=False).id
    assert file_id in [file.id for file in api.files.list().data]
    assert api.files.retrieve(file_id).id == file_id
    assert api.files.delete(file_id)


@scenario("batch")
def _() -> None:
    body = {"model": cases.MODEL, "messages": cases.MESSAGES, "max_tokens": 4}
    lines = [json.dumps({"custom_id": str(number), "body": body}) for number in range(3)]
    file_id = api.files.upload(
        written("\n".join(lines).encode()), purpose="batch-api", check=False
    ).id
    if OLD:
        batch = api.batches.create_batch(file_id, "/v1/chat/completions")
        retrieve = api.batches.get_batch
    else:
        batch = api.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions").job
        retrieve = api.batches.retrieve
    until = time.monotonic() + 60
    while (batch := retrieve(batch.id)).status not in ("COMPLETED", "FAILED"):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert batch.status == "COMPLETED"


@scenario("fine-tuning")
def _() -> None:
    """From upload to chat with the model that comes back; version 3 cancels its job."""
    file_id = api.files.upload(written(cases.ROWS), purpose="fine-tune", check=False).id
    job = api.fine_tuning.create(
        training_file=file_id,
        model=cases.MODEL,
        n_epochs=1,
        lora=True,
        suffix="matrix-together1" if OLD else "matrix-together",
    )
    assert job.id in [each.id for each in api.fine_tuning.list().data]
    assert api.fine_tuning.list_events(job.id).data
    if not OLD:
        assert "cancel" in str(plain(api.fine_tuning.cancel(job.id))["status"]).lower()
        return
    until = time.monotonic() + TRAIN_S
    while "COMPLETED" not in str((job := api.fine_tuning.retrieve(job.id)).status).upper():
        assert time.monotonic() < until, job
        time.sleep(1)
    assert chat(model=job.output_name).choices[0].message.content


if OLD:

    @scenario("Kiln's calls")
    def _() -> None:
        """Kiln (libs/core/kiln_ai/adapters/fine_tune/together_finetune.py) has this version."""
        file_id = api.files.upload(written(cases.ROWS), purpose="fine-tune", check=True).id
        job = api.fine_tuning.create(
            training_file=file_id, validation_file="", model=cases.MODEL,
            wandb_api_key=None, wandb_project_name=None, lora=True, suffix="kiln_ai_1234",
            n_epochs=1, learning_rate=1e-4, batch_size=8, n_checkpoints=1, min_lr_ratio=0.0,
            warmup_ratio=0.1, max_grad_norm=1.0, weight_decay=0.01, lora_r=8, lora_dropout=0.05,
            lora_alpha=16.0,
        )  # fmt: skip
        found = api.fine_tuning.retrieve(id=job.id)
        assert found.status in together.types.finetune.FinetuneJobStatus
        api.fine_tuning.cancel(id=found.id)


@scenario("error: unknown model")
def _() -> None:
    raises(Failure, lambda: chat(model="nobody"), "nobody")


@scenario("error: bad schema")
def _() -> None:
    raises(Failure, lambda: chat(response_format=cases.BAD_FORMAT), "town")


@scenario("error: too long")
def _() -> None:
    long = [{"role": "user", "content": cases.TOO_LONG}]
    raises(Failure, lambda: chat(messages=long), "context_length_exceeded")


@scenario("embeddings refused")
def _() -> None:
    def ask() -> object:
        return api.embeddings.create(model=cases.MODEL, input="Hello")

    raises(Failure, ask, "embeddings_not_supported")


if __name__ == "__main__":
    sys.exit(CLIENT.run())
