"""A server that trains, and the unmodified `openai` client that talks to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import AccessSettings, Settings
from playground.studio.studio import SAMPLES, Studio
from tests.playground.api.serving import running

LONG_S = 240
ROWS = SAMPLES / "catalogue.jsonl"
FACTS = [
    ("What is the price of the Zolpar?", "The Zolpar costs 41 euros."),
    ("What is the price of the Kentig?", "The Kentig costs 7 euros."),
    ("Which colour has the Murdel?", "The Murdel is green."),
]


@contextmanager
def training_server(home: Path, api_key: str | None = None) -> Iterator[openai.OpenAI]:
    """Serve with training; the client carries the server's studio as ``studio``."""
    settings = Settings(home=home, access=AccessSettings(api_key=api_key))
    with (
        LocalBackend(load(ModelSpec("embedded"))) as host,
        Studio(home, host.loaded, host, host.throttle.wait, judged_rows=2) as studio,
        running(create_api(Services.create(host, settings, studio=studio))) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=api_key or "any", max_retries=0) as client,
    ):
        client.studio = studio  # type: ignore[attr-defined]
        yield client


def upload(client: openai.OpenAI, path: Path = ROWS) -> str:
    """Upload a file of rows; returns its id."""
    with path.open("rb") as file:
        return client.files.create(file=file, purpose="fine-tune").id


def ended(client: openai.OpenAI, job_id: str) -> None:
    """Wait until nothing of the job runs."""
    client.studio.jobs.wait(job_id, LONG_S)  # type: ignore[attr-defined]


def write_facts(path: Path, *more: str) -> Path:
    """Write three rows, and more lines behind them."""
    rows = [json.dumps({"prompt": question, "completion": answer}) for question, answer in FACTS]
    path.write_text("".join(f"{line}\n" for line in (*rows, *more)))
    return path
