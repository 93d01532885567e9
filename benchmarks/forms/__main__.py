"""Every form of weights, planned, loaded, served, trained and exported: a table of real runs.

    python -m benchmarks.forms [--only gptq] [--without-kernels] [--out forms.md]

A tiny Mistral with random weights is written in each form. Cells: the quantization it is held in
and the loaded bytes ÷ the planned ones; the error of its logits; greedy tokens of the engine that
are the model's own; calls and JSON answers that hold their schema; the loss of an adapter; the
exports, and greedy tokens of each by its own reader that are those of PEFT on the base.
``--without-kernels`` holds integers as a GPU does, by bitsandbytes.
"""

import argparse
import logging
import tempfile
import traceback
from pathlib import Path

import torch

from benchmarks.forms import stages
from benchmarks.forms.folders import FORMS
from playground.backends.local import LocalBackend
from playground.models import int_linear
from playground.runtime import quiet_libraries

COLUMNS = (
    *("form", "planned", "loaded", "served", "tools", "JSON", "trained", "exported"),
    "loaded back",
)


def row(name: str, folder: Path) -> list[str]:
    """Use a form in every way; a cell of what fails says with what, and ends the row."""
    cells = [name]
    try:
        made = FORMS[name](folder)
        home = folder / "home"
        loaded = stages.open_use(made, home)
        cells.append(stages.planned(made, loaded, home))
        cells.append(stages.loaded_as(made, loaded))
        with LocalBackend(loaded) as backend:
            use = stages.Use(made, loaded, backend, home)
            for stage in (stages.served, stages.tools, stages.json_answers):
                cells.append(stage(use))
            cell, adapter = stages.trained(use)
            cells.append(cell)
            cell, written = stages.exported(use, adapter)
            cells += [cell, stages.loaded_back(use, adapter, written)]
    except Exception as error:  # noqa: BLE001 - one form's failure must not lose the others
        logging.getLogger(__name__).debug(traceback.format_exc())
        cells.append(f"**{type(error).__name__}: {error}**".replace("\n", " "))
    return cells


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="forms whose name has this")
    parser.add_argument("--without-kernels", action="store_true")
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(1)
    if flags.without_kernels:
        setattr(int_linear, "has_int_kernels", lambda: False)  # noqa: B010 - it has a cache
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    print("\n".join(lines), flush=True)
    for name in FORMS:
        if flags.only.lower() in name.lower():
            with tempfile.TemporaryDirectory() as folder:
                lines.append("| " + " | ".join(row(name, Path(folder))) + " |")
            print(lines[-1], flush=True)
    if flags.out:
        flags.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
