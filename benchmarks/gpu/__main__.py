"""Kernel agreement, capture, speed, memory, QLoRA and adapters of the 24B's shape on one GPU.

    python -m benchmarks.gpu [--out gpu.json]                  # at most nine minutes, no download
    python -m benchmarks.gpu --device cpu --shape small        # the same rows, as far as they go

Weights are random and made on the device. The JSON has every row: a figure, or the reason why it
has none. bf16 weights of the 24B take 44 GiB, NF4 13 GiB; what does not fit is said so.
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from benchmarks.gpu import rows as measure
from benchmarks.gpu.model import SHAPES, Place, config_of, make_model
from benchmarks.gpu.rows import NotRun, Row, Rows, Sizes
from playground.backends.local import LocalBackend
from playground.models.loaded import LoadedModel

BUDGET_S = 9 * 60.0
FORMS: tuple[Literal["nf4", "none"], ...] = ("nf4", "none")
FORM_NAMES = {"nf4": "nf4", "none": "bf16"}
WARM_UP_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the JSON: a figure in its unit, or the reason why there is none."""

    name: str
    unit: str
    value: float | None = None
    reason: str | None = None
    seconds: float = 0.0


def planned_rows(sizes: Sizes) -> list[tuple[str, str]]:
    """Return names and units of all rows, in the order of their measuring."""
    rows = []
    for form in FORM_NAMES.values():
        rows += [(f"kernel agreement, {form}", "1 = agrees")]
        rows += [(f"capture, {form}", "largest difference of log-probabilities")]
        rows += [(f"{count} streams, {form}", "tokens/s") for count in sizes.streams]
        rows += [(f"first token after {count}, {form}", "s") for count in sizes.prompts]
        rows += [(f"peak / plan, {form}", "ratio"), (f"adapter swap, {form}", "s")]
    return rows + [(f"QLoRA at {length}, nf4", "tokens/s") for length in sizes.training]


def run(shape: str, sizes: Sizes, place: Place, budget_s: float = BUDGET_S) -> list[Result]:
    """Measure all rows that the device and the time allow; the others have a reason."""
    end, done = time.monotonic() + budget_s, {}
    for form in FORMS:
        try:
            for result in _form_rows(form, shape, sizes, place, end):
                done[result.name] = result
                print(json.dumps(asdict(result)), flush=True)
            missing = "it was not reached"
        except Exception as error:  # noqa: BLE001 - no memory for bf16 must not lose NF4's rows
            missing = f"{type(error).__name__}: {error}"
        for name, unit in planned_rows(sizes):
            if name.endswith(f", {FORM_NAMES[form]}") and name not in done:
                done[name] = Result(name, unit, reason=missing)
        measure.free_memory()
    return [done[name] for name, _ in planned_rows(sizes)]


def _form_rows(
    form: Literal["nf4", "none"], shape: str, sizes: Sizes, place: Place, end: float
) -> Iterator[Result]:
    loaded = make_model(config_of(shape, sizes.context_length), form, place)
    loaded = replace(loaded, context_length=sizes.context_length)
    name = FORM_NAMES[form]
    for row in _runner_rows(loaded, name):
        yield _result(*row, end)
    measure.free_memory()
    with measure.open_backend(loaded, sizes) as backend:
        measure.tokens_per_second(backend, 1, WARM_UP_TOKENS)
        for row in _served_rows(backend, loaded, name, sizes, place.folder):
            yield _result(*row, end)
    del backend, row
    measure.free_memory()
    for length in sizes.training if form == "nf4" else ():
        train = partial(
            measure.qlora_tokens_per_second, loaded, length, place.folder / f"run-{length}"
        )
        yield _result(f"QLoRA at {length}, {name}", "tokens/s", train, end)


def _runner_rows(loaded: LoadedModel, name: str) -> Rows:
    difference = "largest difference of log-probabilities"
    return [
        (f"kernel agreement, {name}", "1 = agrees", partial(measure.kernel_agreement, loaded)),
        (f"capture, {name}", difference, partial(measure.capture, loaded)),
    ]


def _served_rows(
    backend: LocalBackend, loaded: LoadedModel, name: str, sizes: Sizes, folder: Path
) -> Rows:
    speed = partial(measure.tokens_per_second, backend, tokens=sizes.answer_tokens)
    first = partial(measure.first_token_s, backend, loaded)
    swap = partial(measure.adapter_swap_s, backend, loaded, folder / f"adapter-{name}")
    return [
        *(
            (f"{count} streams, {name}", "tokens/s", partial(speed, streams=count))
            for count in sizes.streams
        ),
        *(
            (f"first token after {count}, {name}", "s", partial(first, count))
            for count in sizes.prompts
        ),
        (f"peak / plan, {name}", "ratio", partial(measure.peak_over_plan, loaded, sizes.kv_tokens)),
        (f"adapter swap, {name}", "s", swap),
    ]


def _result(name: str, unit: str, row: Row, end: float) -> Result:
    began = time.monotonic()
    if began > end:
        return Result(name, unit, reason="the time was up")
    try:
        value = row()
    except NotRun as error:
        return Result(name, unit, reason=str(error))
    except Exception as error:  # one row's failure must not lose the others
        logging.getLogger(__name__).exception("%s", name)
        return Result(name, unit, reason=f"{type(error).__name__}: {error}")
    return Result(name, unit, value=value, seconds=round(time.monotonic() - began, 2))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="24b")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--streams", type=_numbers, default=(1, 8, 32))
    parser.add_argument("--answer-tokens", type=int, default=128)
    parser.add_argument("--prompts", type=_numbers, default=(1024, 16_384))
    parser.add_argument("--training", type=_numbers, default=(2048, 4096))
    flags = parser.parse_args(arguments)
    sizes = Sizes(flags.streams, flags.answer_tokens, flags.prompts, flags.training)
    device, began = torch.device(flags.device), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = run(flags.shape, sizes, Place(device, Path(folder)))
    is_gpu = device.type == "cuda" and torch.cuda.is_available()
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(device) if is_gpu else str(device),
        "torch": torch.__version__,
        "shape": flags.shape,
        "seconds": round(time.monotonic() - began, 1),
        "rows": [asdict(result) for result in results],
    }
    flags.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"wrote {flags.out}: {sum(r.value is not None for r in results)} of {len(results)} rows")


if __name__ == "__main__":
    main()
