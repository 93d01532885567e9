"""What Prometheus reads, by its own parser, from a server in a process of its own."""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "playground.json"
Sample = tuple[str, tuple[tuple[str, str], ...]]


def read(url: str) -> Mapping[Sample, float]:
    reply = httpx.get(f"{url}/metrics", timeout=30)
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@pytest.mark.slow
def test_answers_are_counted_once(playground_url: str) -> None:
    before = read(playground_url)
    with openai.OpenAI(base_url=f"{playground_url}/v1", api_key="any", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="embedded",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        used = [chunk.usage for chunk in stream if chunk.usage][-1]
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model="embedded", prompt="x" * 20_000, max_tokens=1)
    after = read(playground_url)

    def more(name: str, **labels: str) -> float:
        key = name, tuple(sorted(labels.items()))
        return after[key] - before.get(key, 0.0)

    assert more("vllm:prompt_tokens_total", model_name="embedded") == used.prompt_tokens
    assert more("vllm:generation_tokens_total", model_name="embedded") == used.completion_tokens
    ended = more("vllm:request_success_total", model_name="embedded", finished_reason="stop")
    assert ended == 1
    for name in ("time_to_first_token", "e2e_request_latency", "request_queue_time"):
        assert more(f"vllm:{name}_seconds_count", model_name="embedded") == 1
    between = more("vllm:inter_token_latency_seconds_count", model_name="embedded")
    assert 0 <= between < used.completion_tokens
    codes = {dict(labels)["code"] for name, labels in after if name.startswith("playground_req")}
    assert "context_length_exceeded" in codes
    running = after["vllm:num_requests_running", (("model_name", "embedded"),)]
    assert running == 0
    dashboard = DASHBOARD.read_text(encoding="utf-8")
    shown = set(re.findall(r"(?:vllm:|playground_|process_)\w+", dashboard))
    assert len(shown) > 15
    # Whether there are jobs depends on the tests before this one.
    assert shown - {name for name, _ in after} <= {"playground_jobs", "playground_job_steps"}
    share = after["vllm:kv_cache_usage_perc", (("model_name", "embedded"),)]
    assert share == 0
