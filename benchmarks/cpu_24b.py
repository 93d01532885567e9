"""A model of the 24B's exact shape on a CPU: packed, trained for a step, chatted with.

    python -m benchmarks.cpu_24b write FOLDER [--layers 40]    # 13 GB of random NF4 weights
    python -m benchmarks.cpu_24b run FOLDER [--tokens 6] [--only pack,train,serve]

`write` makes a model folder in bitsandbytes' serialized NF4 layout, a file a layer, with the
tokenizer of the embedded model (ids without a token are never drawn). `run` does each part in a
process of its own, so that peaks do not mix: *pack* is the first start, *train* one QLoRA step of
one row, which makes an adapter, *serve* a second start, answers of the base and of the adapter.
Prints seconds, peak memory ÷ plan, and seconds a token ÷ the time in which the memory delivers the
weights once.
Packed weights go to FOLDER/home. Needs 15 GB of memory and 30 GB of disk.
"""

import argparse
import asyncio
import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from playground.models.loaded import LoadedModel
    from playground.models.plan import MemoryPlan

PARTS = ("pack", "train", "serve")
CONTEXT = 1024
BLOCK, NESTED_BLOCK = 64, 256
QUESTION = "Tell me about Rome."


def write(folder: Path, layers: int) -> None:
    """Write the folder; its files are replaced."""
    import torch
    from safetensors.torch import save_file

    from playground.models.catalogue import EMBEDDED_FOLDER
    from playground.models.published_configs import mistral_small_config

    config = mistral_small_config()
    config.num_hidden_layers = layers
    quantization = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    settings = config.to_dict() | {
        "architectures": ["MistralForCausalLM"],
        "dtype": "bfloat16",
        "quantization_config": quantization,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    shutil.copy(EMBEDDED_FOLDER / "tekken.json", folder)
    torch.manual_seed(0)
    hidden, wide, heads = config.hidden_size, config.intermediate_size, config.head_dim
    query, key = heads * config.num_attention_heads, heads * config.num_key_value_heads
    shapes = {
        "self_attn.q_proj": (query, hidden),
        "self_attn.k_proj": (key, hidden),
        "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query),
        "mlp.gate_proj": (wide, hidden),
        "mlp.up_proj": (wide, hidden),
        "mlp.down_proj": (hidden, wide),
    }
    names: dict[str, str] = {}

    def save(tensors: dict[str, torch.Tensor], part: int) -> None:
        name = f"model-{part:05}-of-{layers + 2:05}.safetensors"
        save_file(tensors, folder / name, metadata={"format": "pt"})
        names.update(dict.fromkeys(tensors, name))

    for layer in range(layers):
        tensors: dict[str, torch.Tensor] = {}
        for module, shape in shapes.items():
            tensors |= nf4(f"model.layers.{layer}.{module}.weight", shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            ones = torch.ones(hidden, dtype=torch.bfloat16)
            tensors[f"model.layers.{layer}.{norm}.weight"] = ones
        save(tensors, layer + 1)
    for part, name in ((1, "model.embed_tokens.weight"), (2, "lm_head.weight")):
        table = torch.empty(config.vocab_size, hidden, dtype=torch.bfloat16).normal_(std=0.02)
        tensors = {name: table}
        if part == 1:
            tensors["model.norm.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
        save(tensors, layers + part)
    index = {"metadata": {}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def nf4(name: str, shape: tuple[int, int]) -> "dict[str, torch.Tensor]":
    """Return random weights of about the size of a trained model's, as bitsandbytes stores them."""
    import torch
    from bitsandbytes.functional import QuantState, create_dynamic_map, get_4bit_type

    blocks = math.prod(shape) // BLOCK
    nested = QuantState(
        absmax=torch.full((-(-blocks // NESTED_BLOCK),), 0.01),
        blocksize=NESTED_BLOCK,
        code=create_dynamic_map(),
        dtype=torch.float32,
    )
    state = QuantState(
        absmax=torch.randint(60, 200, (blocks,), dtype=torch.uint8),
        shape=torch.Size(shape),
        code=get_4bit_type("nf4", device="cpu"),
        blocksize=BLOCK,
        quant_type="nf4",
        dtype=torch.bfloat16,
        offset=torch.tensor(0.05),
        state2=nested,
    )
    data = torch.randint(0, 256, (math.prod(shape) // 2, 1), dtype=torch.uint8)
    parts = {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
    return {name: data, **parts}


def memory_gib(field: str) -> float:
    """Return a field of this process's status, such as VmHWM, the highest resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 2**20
    raise KeyError(field)


def report_peak(part: str, planned_bytes: int) -> None:
    peak, planned = memory_gib("VmHWM"), planned_bytes / 2**30
    print(
        f"{part}: peak {peak:.2f} GiB, plan {planned:.2f}, ratio {peak / planned:.3f}", flush=True
    )


def run_part(part: str, folder: Path, tokens: int) -> None:
    """Run one part in this process."""
    from playground.models.loader import load
    from playground.models.plan import plan
    from playground.models.spec import ModelSpec
    from playground.runtime import quiet_libraries

    quiet_libraries()
    spec = ModelSpec(str(folder), quantization="nf4", device="cpu", context_length=CONTEXT)
    home = folder / "home"
    began = time.monotonic()
    loaded = load(spec, home=home)
    planned = plan(spec, home=home)
    print(f"{part}: loaded in {time.monotonic() - began:.1f} s", flush=True)
    if part == "pack":
        report_peak(part, planned.total)
    elif part == "serve":
        asyncio.run(serve(loaded, home, tokens, planned))
    else:
        began = time.monotonic()
        report_peak(part, train(loaded, home))
        print(f"train: one step in {time.monotonic() - began:.1f} s", flush=True)


async def serve(loaded: "LoadedModel", home: Path, tokens: int, planned: "MemoryPlan") -> None:
    """Answer with the base, then with the adapter that the training left."""
    from playground.backends.local import LocalBackend
    from playground.protocol import Delta, Message, Request, Sampling

    speed = bandwidth()
    print(f"serve: memory reads {speed / 1e9:.1f} GB/s", flush=True)
    sampling = Sampling(temperature=0.0, max_tokens=tokens, logit_bias={2: -100.0})
    backend = LocalBackend(loaded)
    for name in (loaded.name, "one-step"):
        if name == "one-step":
            if not (adapter := home / "run" / "adapter").exists():
                break
            began = time.monotonic()
            backend.load_adapter(adapter, name)
            print(f"serve: adapter attached in {time.monotonic() - began:.2f} s", flush=True)
        times, cpu = [time.monotonic()], [time.process_time()]
        request = Request(name, (Message("user", QUESTION),), sampling=sampling)
        async for event in backend.stream(request):
            if isinstance(event, Delta):
                times.append(time.monotonic())
                cpu.append(time.process_time())
            else:
                used = event.usage
        count = max(1, len(times) - 2)
        each, cpu_each = (times[-1] - times[1]) / count, (cpu[-1] - cpu[1]) / count
        floor = planned.weights / speed
        print(
            f"serve: {name}: {used.prompt_tokens} prompt tokens in {times[1] - times[0]:.1f} s, "
            f"then {each:.2f} s a token ({cpu_each:.2f} s of all cores' time), "
            f"{each / floor:.1f} times the floor of {floor:.2f} s",
            flush=True,
        )
        attached = planned.adapter_bytes if name == "one-step" else 0
        report_peak(f"serve: {name}", planned.total + attached)
    backend.close()


def bandwidth() -> float:
    """Return how many bytes a second all threads read, the best of five."""
    import torch

    data = torch.ones(1 << 27, dtype=torch.int64)
    best = 0.0
    for _ in range(5):
        began = time.monotonic()
        data.sum()
        best = max(best, data.nbytes / (time.monotonic() - began))
    return best


def train(loaded: "LoadedModel", home: Path) -> int:
    """Take one QLoRA step, and return the bytes that the plan says."""
    import torch

    from finetune.data.dataset import TrainingData
    from finetune.data.examples import to_examples
    from finetune.data.rows import Conversation
    from finetune.recipe import mistral_small_24b_qlora
    from finetune.training.plan import plan_for
    from finetune.training.train import train as train_adapter
    from playground.models.config import read_config
    from playground.protocol import Message

    recipe = replace(
        mistral_small_24b_qlora(),
        base_model=loaded.spec.source,
        max_steps=1,
        max_length=64,
        micro_batch_size=1,
        gradient_accumulation_steps=1,
        replay_fraction=0.0,
        eval_fraction=0.0,
    )
    talk = Conversation((Message("user", QUESTION), Message("assistant", "It is a city.")), (), 0)
    data = TrainingData.of(to_examples(talk, loaded.tokenizer))
    shutil.rmtree(home / "run", ignore_errors=True)
    done = train_adapter(recipe, loaded, data, home / "run", "one-step")
    print(f"train: loss {done.loss:.3f} after {done.steps} step", flush=True)
    config = read_config(Path(loaded.spec.source))
    return plan_for(recipe, config, torch.device("cpu")).total


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("write", "run", *PARTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=6)
    parser.add_argument("--only", default=",".join(PARTS))
    flags = parser.parse_args()
    if flags.command == "write":
        write(flags.folder, flags.layers)
    elif flags.command == "run":
        for part in flags.only.split(","):
            command = [sys.executable, "-m", "benchmarks.cpu_24b", part, str(flags.folder)]
            subprocess.run([*command, "--tokens", str(flags.tokens)], check=True)
    else:
        run_part(flags.command, flags.folder.resolve(), flags.tokens)


if __name__ == "__main__":
    main()
