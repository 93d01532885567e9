"""One server under everything at once, for minutes: what comes out wrong, what is lost, what grows.

    python -m benchmarks.soak [--minutes 10] [--clients 64] [--model embedded]

Clients ask in six ways for base and adapters, a third of them hangs up in mid-answer, an adapter is
exchanged every two seconds under the name that is asked for, and training jobs run beside it. They
have three API keys, most of them the first. Each answer is compared with the one that was given
alone before: of the exchanged name with those of both versions. Prints what was asked, what was
wrong or lost, the slope of the server's memory, and whether every slot is free at the end; exits
with 1 if anything was wrong or lost.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.fair_use import PASSWORD, RUN, new_key

FLAGS = (
    "--precision", "fp32", "--training-priority", "balanced", "--judged-rows", "4",
    "--kv-cache-gib", "0.1", "--port", "0",
)  # fmt: skip
"""A small cache of prompts is full at once, so that what grows afterwards is no cache."""
QUESTIONS = (
    "What is the capital of Japan?", "Tell me about the weather in Rome.",
    "Could you make a table of the planets, please?", "What is 17 plus 25?",
)  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "size": {"type": "integer"}},
    "required": ["city", "size"],
}
TOOL = {"name": "find_city", "description": "Find a city.", "parameters": SCHEMA}
ROWS = [
    {"prompt": f"Which number follows {number}?", "completion": f"{number + 1} follows."}
    for number in range(64)
]
BASE, SWAPPED = "", "swapped"
KEYS = {"most": 5, "some": 2, "few": 1}
"""Names of the keys, and how many of eight clients have each."""
VERSIONS = ("first", "second")
CANCELLED_SHARE, CANCELLED_AFTER = 0.3, 6
SWAP_S, SAMPLE_S, FREE_S, STOP_S, MIB = 2.0, 1.0, 10.0, 60, 2**20
RUNNING = re.compile(r"^vllm:num_requests_(?:running|waiting)\S* (\S+)$", re.MULTILINE)


class Failed(Exception):
    """An answer without an end."""


@dataclass(frozen=True, slots=True)
class Case:
    """A way to ask: the path, and the body without its model."""

    name: str
    path: str
    body: dict[str, Any]


@dataclass(slots=True)
class Tally:
    """What happened. ``memory`` are pairs of seconds since the start and MiB."""

    asked: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    cancelled: int = 0
    swaps: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


def cases() -> list[Case]:
    """Every question in every way."""
    found = []
    for number, question in enumerate(QUESTIONS):
        chat = {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 16 + 8 * number, "temperature": 0, "stream": True,
        }  # fmt: skip
        schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
        tools = {"tools": [{"type": "function", "function": TOOL}], "tool_choice": "required"}
        text = {"prompt": question, "logprobs": 1, "max_tokens": 24, "temperature": 0}
        path = "/v1/chat/completions"
        found += [
            Case("chat", path, chat),
            Case("whole", path, chat | {"stream": False}),
            Case("seeded", path, chat | {"temperature": 0.9, "seed": number}),
            Case("json", path, chat | {"response_format": schema, "max_tokens": 64}),
            Case("tools", path, chat | tools | {"max_tokens": 64}),
            Case("text", "/v1/completions", text | {"stream": True}),
        ]
    return found


async def pieces(http: httpx.AsyncClient, case: Case, model: str) -> AsyncGenerator[str, None]:
    """Yield the answer as it comes. Raises `Failed` for one without an end."""
    async with http.stream("POST", case.path, json=case.body | {"model": model}) as reply:
        if reply.status_code != 200:
            raise Failed(f"{reply.status_code}: {(await reply.aread()).decode()[:200]}")
        if not case.body.get("stream"):
            yield json.loads(await reply.aread())["choices"][0]["message"]["content"]
            return
        has_ended = False
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise Failed(event["error"]["message"])
            for choice in event["choices"]:
                has_ended = has_ended or bool(choice["finish_reason"])
                yield _text_of(choice)
        if not has_ended:
            raise Failed("the stream broke off")


def _text_of(choice: dict[str, Any]) -> str:
    delta = choice.get("delta", {})
    calls = [call["function"] for call in delta.get("tool_calls") or ()]
    called = "".join(f"{call.get('name') or ''}{call.get('arguments') or ''}" for call in calls)
    return (choice.get("text") or delta.get("content") or "") + called


async def whole(http: httpx.AsyncClient, case: Case, model: str) -> str:
    """Return the whole answer."""
    return "".join([piece async for piece in pieces(http, case, model)])


class Soak:
    """One run against a server."""

    def __init__(self, keyed: Sequence[httpx.AsyncClient], base: str, pid: int, seed: int) -> None:
        """``keyed``: an HTTP client of each key."""
        self._http = keyed[0]
        self._keyed = keyed
        self._base = base
        self._pid = pid
        self._rng = random.Random(seed)
        self._cases = cases()
        self._alone: dict[tuple[int, str], str] = {}
        self.tally = Tally()

    async def prepare(self) -> None:
        """Load the adapters, and ask everything once, alone."""
        for name in VERSIONS:
            await self._load(name, name)
        await self._load(SWAPPED, VERSIONS[0])
        for number, case in enumerate(self._cases):
            for name in (BASE, *VERSIONS):
                self._alone[number, name] = await whole(self._http, case, self._model(name))

    async def run(self, seconds: float, clients: int) -> None:
        """Ask for so long; then wait until what was begun has ended."""
        until = time.monotonic() + seconds
        beside = [
            asyncio.create_task(each)
            for each in (self._swap(until), self._train(until), self._weigh(until))
        ]
        turns = [key for key, count in zip(self._keyed, KEYS.values(), strict=True)
                 for _ in range(count)]  # fmt: skip
        await asyncio.gather(*(self._client(until, turns[n % len(turns)]) for n in range(clients)))
        await asyncio.gather(*beside)

    async def busy(self) -> int:
        """Return how many requests the server still has, after they had time to go."""
        deadline = time.monotonic() + FREE_S
        while True:
            text = (await self._http.get("/metrics")).text
            busy = int(sum(float(value) for value in RUNNING.findall(text)))
            if not busy or time.monotonic() > deadline:
                return busy
            await asyncio.sleep(0.1)

    async def _client(self, until: float, http: httpx.AsyncClient) -> None:
        while time.monotonic() < until:
            number = self._rng.randrange(len(self._cases))
            name = self._rng.choice((BASE, *VERSIONS, SWAPPED, SWAPPED))
            case = self._cases[number]
            self.tally.asked[case.name] += 1
            try:
                if self._rng.random() < CANCELLED_SHARE:
                    await self._hang_up(http, case, name)
                else:
                    await self._compare(http, number, name)
            except (Failed, httpx.HTTPError) as error:
                self.tally.lost.append(f"{case.name} of {name or 'base'}: {error!r}")

    async def _compare(self, http: httpx.AsyncClient, number: int, name: str) -> None:
        answer = await whole(http, self._cases[number], self._model(name))
        versions = VERSIONS if name == SWAPPED else (name,)
        self.tally.ended += 1
        alone = [self._alone[number, version] for version in versions]
        if answer not in alone:
            case = self._cases[number].name
            self.tally.wrong.append(f"{case} of {name or 'base'}: {answer!r}, alone {alone}")

    async def _hang_up(self, http: httpx.AsyncClient, case: Case, name: str) -> None:
        self.tally.cancelled += 1
        if case.body.get("stream"):
            most = self._rng.randrange(CANCELLED_AFTER)
            async with aclosing(pieces(http, case, self._model(name))) as stream:
                async for _ in stream:
                    most -= 1
                    if most < 0:
                        return
            return
        try:
            async with asyncio.timeout(self._rng.random() / 10):
                await whole(http, case, self._model(name))
        except TimeoutError:
            pass

    async def _swap(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(SWAP_S)
            self.tally.swaps += 1
            await self._load(SWAPPED, VERSIONS[self.tally.swaps % 2])

    async def _train(self, until: float) -> None:
        """One job after another; the last is cancelled."""
        rows = "".join(json.dumps(row) + "\n" for row in ROWS)
        upload = {"file": ("rows.jsonl", rows.encode())}
        reply = await self._http.post("/v1/files", files=upload, data={"purpose": "fine-tune"})
        body = {
            "model": self._base, "training_file": reply.json()["id"], "suffix": "soak",
            "hyperparameters": {"n_epochs": 1},
        }  # fmt: skip
        while time.monotonic() < until:
            job = (await self._http.post("/v1/fine_tuning/jobs", json=body)).json()
            place = f"/v1/fine_tuning/jobs/{job['id']}"
            while job["status"] in ("validating_files", "queued", "running"):
                if time.monotonic() > until:
                    await self._http.post(f"{place}/cancel")
                await asyncio.sleep(SAMPLE_S / 2)
                job = (await self._http.get(place)).json()
            self.tally.jobs[job["status"]] += 1
            if job["status"] == "failed":
                self.tally.lost.append(f"job: {job['error']}")

    async def _weigh(self, until: float) -> None:
        began = time.monotonic()
        while time.monotonic() < until:
            pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
            self.tally.memory.append((time.monotonic() - began, pages * 4096 / MIB))
            await asyncio.sleep(SAMPLE_S)

    async def _load(self, name: str, folder: str) -> None:
        body = {"lora_name": name, "lora_path": folder}
        reply = await self._http.post("/v1/load_lora_adapter", json=body)
        if reply.status_code != 200:
            self.tally.lost.append(f"loading {name}: {reply.text[:200]}")

    def _model(self, name: str) -> str:
        return f"{self._base}:{name}" if name else self._base


def write_adapters(home: Path, model: str) -> None:
    """Write two adapters that change what is answered."""
    import torch
    from peft import LoraConfig, get_peft_model

    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    for seed, name in enumerate(VERSIONS):
        base = load(ModelSpec(model, precision="fp32"), home=home).model
        torch.manual_seed(seed)
        adapter = get_peft_model(base, LoraConfig(r=8, target_modules="all-linear"))
        with torch.no_grad():
            for parameter_name, parameter in adapter.named_parameters():
                if "lora_B" in parameter_name:
                    parameter.normal_(std=0.1)
        adapter.save_pretrained(home / "adapters" / name)


@contextmanager
def server(home: Path, model: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start one; yields its address once the model is loaded, and ends it by SIGTERM."""
    command = (*RUN, "--home", str(home), "--model", model, *FLAGS)
    environment = {**os.environ, "PLAYGROUND_ACCESS__PASSWORD": PASSWORD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        while not process.stdout.readline().startswith("Ready"):  # the model is loaded
            pass
        try:
            yield found.group(), process
        finally:
            process.terminate()


def slope(memory: list[tuple[float, float]]) -> float:
    """Return MiB a minute by least squares over the second half, after everything was in use."""
    half = memory[len(memory) // 2 :]
    line = statistics.linear_regression([at for at, _ in half], [mib for _, mib in half])
    return line.slope * 60


def report(tally: Tally, busy: int, seconds: float) -> None:
    """Print the figures."""
    asked = ", ".join(f"{name} {count}" for name, count in sorted(tally.asked.items()))
    print(f"{seconds:.0f} s, {sum(tally.asked.values())} requests: {asked}")
    print(f"{tally.ended} answers ended, {tally.cancelled} clients hung up")
    print(f"{tally.swaps} exchanges of an adapter; jobs: {dict(tally.jobs)}")
    print(f"wrong: {len(tally.wrong)}, lost: {len(tally.lost)}, still running: {busy}")
    for line in [*tally.wrong[:5], *tally.lost[:5]]:
        print(f"  {line}")
    first, last, minute = tally.memory[0][1], tally.memory[-1][1], slope(tally.memory)
    print(f"memory: {first:.0f} MiB at first, {last:.0f} at the end, {minute:+.2f} a minute")


async def soak(url: str, pid: int, keys: Sequence[str], arguments: argparse.Namespace) -> bool:
    """Run it and print the figures; returns whether all was well."""
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        keyed = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=url, timeout=120, limits=limits,
                    headers={"Authorization": f"Bearer {key}"},
                )
            )
            for key in keys
        ]  # fmt: skip
        base = (await keyed[0].get("/v1/models")).json()["data"][0]["id"]
        run = Soak(keyed, base, pid, arguments.seed)
        await run.prepare()
        began = time.monotonic()
        await run.run(arguments.minutes * 60, arguments.clients)
        busy = await run.busy()
        report(run.tally, busy, time.monotonic() - began)
    return not (run.tally.wrong or run.tally.lost or busy)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home_folder:
        home = Path(home_folder)
        write_adapters(home, arguments.model)
        with server(home, arguments.model) as (url, process):
            keys = [new_key(home, name, "admin") for name in KEYS]
            is_well = asyncio.run(soak(url, process.pid, keys, arguments))
            began = time.monotonic()
            process.terminate()
            status = process.wait(STOP_S)
            print(f"SIGTERM: status {status} after {time.monotonic() - began:.1f} s")
    sys.exit(0 if is_well and status == 0 else 1)


if __name__ == "__main__":
    main()
