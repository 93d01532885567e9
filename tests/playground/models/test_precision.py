"""Which number format "auto" takes, on machines that this one is not."""

import pytest
import torch

from playground.models import config
from playground.models.config import choose_dtype
from playground.models.spec import ModelSpec

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
AUTO = ModelSpec("any")


def machine(monkeypatch: pytest.MonkeyPatch, *, fast_bf16: bool, memory_gib: int = 24) -> None:
    """Stand in for a CPU with or without bf16 instructions."""

    class Memory:
        total = memory_gib * GIB

    monkeypatch.setattr(config, "has_fast_bf16", lambda: fast_bf16)
    monkeypatch.setattr("psutil.virtual_memory", Memory)


@pytest.mark.parametrize(
    ("parameters", "fast_bf16", "memory_gib", "dtype"),
    [
        (135e6, True, 24, torch.float32),
        (135e6, False, 24, torch.float32),
        (1.5e9, True, 24, torch.bfloat16),
        (1.5e9, False, 24, torch.float32),
        (7e9, False, 24, torch.bfloat16),
        (7e9, False, 64, torch.float32),
    ],
)
def test_auto_asks_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    parameters: float,
    fast_bf16: bool,
    memory_gib: int,
    dtype: torch.dtype,
) -> None:
    machine(monkeypatch, fast_bf16=fast_bf16, memory_gib=memory_gib)
    assert choose_dtype(AUTO, int(parameters), CPU) == dtype


def test_quantized_products_stay_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, fast_bf16=False)
    assert choose_dtype(ModelSpec("any", quantization="nf4"), 2 * 10**9, CPU) == torch.bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_older_gpu_takes_fp16(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    wanted = torch.bfloat16 if native else torch.float16
    assert choose_dtype(AUTO, 10**9, GPU) == wanted


def test_given_precision_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, fast_bf16=False)
    assert choose_dtype(ModelSpec("any", precision="bf16"), 2 * 10**9, CPU) == torch.bfloat16
