"""The rows: what is measured of one model, each as a function that returns a figure."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from finetune.data.dataset import TrainingData
from finetune.data.examples import TrainingExample
from finetune.recipe import mistral_small_24b_qlora
from finetune.training.hooks import Log, TrainingHooks
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.engine import Limits
from playground.engine.batch import ScheduledChunk
from playground.engine.paged_runner import PagedRunner
from playground.engine.runner import choose_runner
from playground.models.loaded import LoadedModel
from playground.models.plan import kv_bytes_per_token, plan_for_config
from playground.protocol import Delta, Message, Request, Sampling

SHORT_PROMPT = 64
"""Tokens that the short question takes at most."""
QUESTION = "Tell me about Rome."
TRAINING_STEPS = 4
LORA_RANK = 16


class NotRun(Exception):
    """A row that this device cannot fill; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Answers at once, tokens of each, tokens of long prompts, tokens of training rows."""

    streams: tuple[int, ...] = (1, 8, 32)
    answer_tokens: int = 128
    prompts: tuple[int, ...] = (1024, 16_384)
    training: tuple[int, ...] = (2048, 4096)

    @property
    def context_length(self) -> int:
        """Tokens that the longest prompt and its answer take."""
        return max(*self.prompts, *self.training) + self.answer_tokens

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds: those of the longest prompt, or of all short answers."""
        return max(self.context_length, max(self.streams) * (self.answer_tokens + SHORT_PROMPT))


def kernel_agreement(loaded: LoadedModel) -> float:
    """Return 1 if the attention kernel computes what gathering blocks does, 0 if not."""
    if loaded.model.device.type != "cuda":
        raise NotRun("there is no attention kernel for blocks on a CPU")
    return float(_paged_runner(loaded).use_kernel)


def capture(loaded: LoadedModel) -> float:
    """Return the largest difference of log-probabilities between a captured decode step and the
    same tokens computed in one piece.
    """
    runner = _paged_runner(loaded)
    pool = runner.budget(1024, 512)
    tokens = [5, 3, 8, 2, 7, 9]
    caches = [pool.new(), pool.new()]
    for cache in caches:
        pool.grow(cache, len(tokens))
    runner.forward([ScheduledChunk(caches[0], tokens[:-1], 0, wants_logits=True)])
    step = ScheduledChunk(caches[0], tokens[-1:], len(tokens) - 1, wants_logits=True)
    for _ in range(2):  # the first one captures, the second one replays
        captured = runner.forward([step]).clone()
    whole = runner.forward([ScheduledChunk(caches[1], tokens, 0, wants_logits=True)])
    if not runner.captured_sizes:
        raise NotRun("no step was captured; the log says why")
    return float((captured.log_softmax(-1) - whole.log_softmax(-1)).abs().max())


def tokens_per_second(backend: LocalBackend, streams: int, tokens: int) -> float:
    """Return the tokens a second of all answers together, prompts included."""
    return asyncio.run(_answers(backend, streams, tokens))


def first_token_s(backend: LocalBackend, loaded: LoadedModel, prompt_tokens: int) -> float:
    """Return the seconds to the first token after a prompt of about this many tokens."""
    return asyncio.run(_first_token(backend, _prompt(loaded, prompt_tokens)))


def peak_over_plan(loaded: LoadedModel, kv_tokens: int) -> float:
    """Return the peak of the device's memory so far ÷ what the plan says for these tokens."""
    if loaded.model.device.type != "cuda":
        raise NotRun("the peak of a process's memory on a CPU is not its model's")
    planned = plan_for_config(loaded.spec, loaded.model.config, loaded.model.device, kv_tokens)
    return torch.cuda.max_memory_allocated() / (planned.total - planned.runtime_bytes)


def qlora_tokens_per_second(loaded: LoadedModel, length: int, folder: Path) -> float:
    """Return the tokens a second of QLoRA steps on rows of ``length`` tokens, after the first."""
    rows = [
        TrainingExample(ids, ids)
        for ids in (tuple(1 + (at + row) % 200 for at in range(length)) for row in range(4))
    ]
    recipe = replace(
        mistral_small_24b_qlora(),
        base_model=str(loaded.folder),
        max_steps=TRAINING_STEPS,
        max_length=length,
        micro_batch_size=1,
        gradient_accumulation_steps=1,
        replay_fraction=0.0,
        eval_fraction=0.0,
        optim="paged_adamw_8bit" if loaded.model.device.type == "cuda" else "adamw_torch",
    )
    ends: list[float] = []

    def on_log(log: Log) -> None:
        if "loss" in log:
            ends.append(time.monotonic())

    hooks = TrainingHooks(on_log=on_log)
    train(recipe, loaded, TrainingData.of(rows), folder, "benchmark", hooks)
    if len(ends) < TRAINING_STEPS:
        raise NotRun(f"{len(ends)} of {TRAINING_STEPS} steps were logged")
    return length * (TRAINING_STEPS - 1) / (ends[-1] - ends[0])


def adapter_swap_s(backend: LocalBackend, loaded: LoadedModel, folder: Path) -> float:
    """Return the seconds from an adapter on disk to its first token."""
    config = LoraConfig(
        r=LORA_RANK, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    with torch.device("meta"):
        empty = type(loaded.model)(loaded.model.config)
        wrapped = get_peft_model(empty, config)
    _only_adapter(wrapped)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(std=0.01)
    wrapped.save_pretrained(str(folder))
    began = time.monotonic()
    backend.load_adapter(folder, "swapped")
    asyncio.run(_first_token(backend, QUESTION, "swapped"))
    return time.monotonic() - began


def open_backend(loaded: LoadedModel, sizes: Sizes) -> LocalBackend:
    """Serve the model without what would make one answer help the next."""
    model = loaded.model
    kv_bytes = sizes.kv_tokens * kv_bytes_per_token(model.config, model.dtype.itemsize)
    limits = Limits(
        max_sequences=max(sizes.streams),
        prefix_cache=False,
        drafts=False,
        kv_cache_gib=kv_bytes / 2**30,
    )
    return LocalBackend(loaded, limits=limits)


def free_memory() -> None:
    """Give back what dropped models held, and forget the peak."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _only_adapter(wrapped: torch.nn.Module) -> None:
    """Give only the adapter's matrices memory: the base's are not saved."""
    for child in wrapped.modules():
        for name, parameter in child._parameters.items():
            if parameter is not None and parameter.is_meta and parameter.requires_grad:
                child._parameters[name] = torch.nn.Parameter(
                    torch.empty(parameter.shape, dtype=torch.float32)
                )


def _paged_runner(loaded: LoadedModel) -> PagedRunner:
    runner = choose_runner(loaded.model, layout="paged")
    if not isinstance(runner, PagedRunner):
        raise NotRun(f"{type(loaded.model).__name__} does not run in blocks")
    return runner


def _prompt(loaded: LoadedModel, tokens: int) -> str:
    word = " a"
    each = len(loaded.tokenizer.render([Message("user", word * 101)])) - len(
        loaded.tokenizer.render([Message("user", word)])
    )
    return word * max(1, (tokens - 8) * 100 // each)


async def _answers(backend: LocalBackend, streams: int, tokens: int) -> float:
    async def one(at: int) -> int:
        sampling = Sampling(temperature=0.0, max_tokens=tokens, ignore_eos=True)
        message = Message("user", f"{at}: {QUESTION}")
        count = 0
        request = Request(backend.default_model.name, (message,), sampling=sampling)
        async for event in backend.stream(request):
            if not isinstance(event, Delta):
                count = event.usage.completion_tokens
        return count

    began = time.monotonic()
    counts = await asyncio.gather(*(one(at) for at in range(streams)))
    return sum(counts) / (time.monotonic() - began)


async def _first_token(backend: LocalBackend, text: str, model: str | None = None) -> float:
    sampling = Sampling(temperature=0.0, max_tokens=1, ignore_eos=True)
    name = model or backend.default_model.name
    began = time.monotonic()
    async for _ in backend.stream(Request(name, (Message("user", text),), sampling=sampling)):
        return time.monotonic() - began
    raise NotRun("the answer was empty")


Row = Callable[[], float]
Rows = Sequence[tuple[str, str, Row]]
"""Names, units, and what fills them."""
