"""Peers behind HTTP: real servers as processes on loopback, and this project's own API.

Their load comes from `playground.bench.clients`, a process of its own, so that no server shares an
interpreter with its clients. Every server is given the same token ids and greedily generates as
many tokens as are asked for; its own count of both is what is divided by the time.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import MistralForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging
from transformers.utils.import_utils import is_serve_available

from playground.bench.peers import BATCH_TOKENS, CACHE_PAGES, PAGE_TOKENS, Kind, Source, Work
from playground.errors import EngineStopped, RequestFailed
from playground.models.export.gguf_file import write_model
from playground.models.export.gguf_vocabulary import NumberVocabulary
from playground.models.export.request import GgufType

OURS_OVER_HTTP = "playground, HTTP"
TRANSFORMERS_SERVE = "transformers serve"
LLAMA_SERVER = "llama-server"
SLOTS = 32
SLOT_TOKENS = 768
START_SECONDS = 300
STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Route:
    """How a server is asked. ``form`` is a key of `clients.USAGE`; ``body`` makes what is posted
    of a request's place among those sent at once, its prompt's token ids, and the number of tokens
    wanted after it.
    """

    path: str
    form: str
    body: Callable[[int, tuple[int, ...], int], dict[str, Any]]


class OverHttp:
    """A server that runs already, asked by clients in a process of their own."""

    def __init__(self, name: str, address: str, route: Route) -> None:
        self.name = name
        self._address, self._route = address, route

    def throughput(self, work: Work) -> float:
        """Tokens a second. Raises `RequestFailed`, also for prompts other than those sent."""
        route = self._route
        bodies = [route.body(at, *each) for at, each in enumerate(work)]
        sent = {"url": self._address + route.path, "form": route.form, "requests": bodies}
        clients = subprocess.run(
            [sys.executable, "-m", "playground.bench.clients"],
            input=json.dumps(sent),
            capture_output=True,
            text=True,
            check=False,
        )
        if clients.returncode:
            raise RequestFailed(f"{self.name}: {clients.stderr.strip()[-500:]}")
        usage = json.loads(clients.stdout)
        wanted = sum(len(prompt) for prompt, _ in work)
        if usage["prompt_tokens"] != wanted:
            read = usage["prompt_tokens"]
            raise RequestFailed(f"{self.name}: read {read} tokens of prompts that have {wanted}")
        return float(usage["tokens"] / usage["seconds"])

    def close(self) -> None:
        """Leave the server running: it was not started here."""


class Served(OverHttp):
    """A server that this process starts, waits for, and ends."""

    def __init__(
        self, name: str, command: Sequence[str], route: Route, log: Path, **environment: str
    ) -> None:
        """``command`` takes --host and --port as well. Raises `EngineStopped`."""
        port = free_port()
        super().__init__(name, f"http://127.0.0.1:{port}", route)
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        try:
            self._wait()
        except EngineStopped:
            self.close()
            raise

    def _wait(self) -> None:
        for _ in range(START_SECONDS * 10):
            try:
                with urllib.request.urlopen(f"{self._address}/health", timeout=START_SECONDS):
                    return
            except OSError:  # not listening yet, or loading (503)
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        said = self._log.read_text(errors="replace").strip()[-500:]
        raise EngineStopped(f"{self.name} did not start: {said}")

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def our_api(address: str, model: str) -> OverHttp:
    """The engine behind this project's API. Ids are moved up by one: the same engine may have kept
    the prompts themselves from a measure without HTTP.
    """

    def body(_: int, prompt: tuple[int, ...], new: int) -> dict[str, Any]:
        return {
            "model": model,
            "prompt": [token + 1 for token in prompt],
            "max_tokens": new,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    return OverHttp(OURS_OVER_HTTP, address, Route("/v1/completions", "openai", body))


def number_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Reads token ids written as numbers, so that a server that takes text only reads the very
    prompts that the others do.
    """
    words = Tokenizer(WordLevel({str(number): number for number in range(size)}, unk_token="0"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words)


def save_for_transformers(model: MistralForCausalLM, folder: Path) -> None:
    """Weights, settings and `number_tokenizer`, as `from_pretrained` reads them."""
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    logging.enable_progress_bar()
    number_tokenizer(model.config.vocab_size).save_pretrained(folder)


def transformers_missing() -> str:
    """Why `transformers serve` cannot run here, and how to get it; nothing if it can."""
    return "" if is_serve_available() else "needs openai: pip install 'mistral-playground[bench]'"


def transformers_serve(source: Source) -> Served:
    """`transformers serve --continuous-batching`, its cache as large as the one in process.

    `/v1/completions` takes text; the first request's settings (greedy, no end token) hold for all.
    """
    folder = source.folder / "transformers"
    save_for_transformers(source.model, folder)
    command = [
        *(str(Path(sys.executable).with_name("transformers")), "serve", str(folder)),
        *("--continuous-batching", "--device", "cpu", "--log-level", "error"),
        *("--cb-num-blocks", str(CACHE_PAGES), "--cb-block-size", str(PAGE_TOKENS)),
        *("--cb-max-batch-tokens", str(BATCH_TOKENS)),
    ]

    def body(_: int, prompt: tuple[int, ...], new: int) -> dict[str, Any]:
        text = " ".join(map(str, prompt))
        return {"prompt": text, "max_tokens": new, "temperature": 0, "stream": True}

    return Served(
        TRANSFORMERS_SERVE,
        command,
        Route("/v1/completions", "openai", body),
        source.folder / "transformers.log",
        OMP_NUM_THREADS=str(source.threads),
        HF_HUB_OFFLINE="1",
    )


def llama_missing() -> str:
    """Why llama.cpp's server cannot run here, and how to get it; nothing if it can."""
    if not shutil.which(LLAMA_SERVER):
        return "is not on PATH: build the target llama-server of github.com/ggml-org/llama.cpp"
    return ""


def llama_server(source: Source) -> Served:
    """llama.cpp's `llama-server`: a slot for each of 32 requests, no prompt kept from before.

    Set for speed on a CPU: without flash attention (a fifth slower), and with neighbouring slots
    for requests sent together (slots that it picks itself split its batches, up to half as fast).
    """
    path = source.folder / "model.gguf"
    shapes = {name: tuple(weight.shape) for name, weight in source.model.named_parameters()}
    kind: GgufType = "bf16" if source.model.dtype == torch.bfloat16 else "f32"
    weights = source.model.named_parameters()
    write_model(weights, shapes, source.model.config, NumberVocabulary(), path, kind)
    command = [
        *(LLAMA_SERVER, "--model", str(path), "--threads", str(source.threads)),
        *("--threads-batch", str(source.threads), "--parallel", str(SLOTS)),
        *("--ctx-size", str(SLOTS * SLOT_TOKENS), "--cont-batching", "--no-kv-unified"),
        *("--flash-attn", "off", "--cache-ram", "0", "--no-webui", "--offline"),
    ]

    def body(at: int, prompt: tuple[int, ...], new: int) -> dict[str, Any]:
        return {
            "id_slot": at,
            "prompt": list(prompt),
            "n_predict": new,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
            "stream": True,
        }

    route = Route("/completion", "llama.cpp", body)
    return Served(LLAMA_SERVER, command, route, source.folder / "llama.log")


SERVERS = (
    Kind(TRANSFORMERS_SERVE, transformers_missing, transformers_serve),
    Kind(LLAMA_SERVER, llama_missing, llama_server),
)
