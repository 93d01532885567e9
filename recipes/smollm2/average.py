"""Average adapters that were trained on from one another: better than each of them alone.

    python -m recipes.smollm2.average OUT FOLDER FOLDER … [--weights 0.7 0.3 …]

Writes the weighted mean of the matrices in bf16 with the first one's configuration; without weights
all count alike. A mean of adapters of different beginnings would be none of them. Knows no model.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from playground.models.adapters import CONFIG_FILE, WEIGHTS_FILE


def mean_of(
    adapters: Sequence[Mapping[str, torch.Tensor]], weights: Sequence[float]
) -> dict[str, torch.Tensor]:
    """Return each matrix's weighted mean in bf16; the weights need not add up to 1."""
    shares = [weight / sum(weights) for weight in weights]
    means = {}
    for name in adapters[0]:
        parts = [
            share * adapter[name].float() for share, adapter in zip(shares, adapters, strict=True)
        ]
        means[name] = torch.stack(parts).sum(dim=0).to(torch.bfloat16).contiguous()
    return means


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=float, nargs="+", help="a number a folder")
    options = parser.parse_args()
    weights = options.weights or [1.0] * len(options.folders)
    if len(weights) != len(options.folders):
        parser.error(f"--weights: {len(weights)} numbers for {len(options.folders)} folders")
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.folders[0] / CONFIG_FILE, options.out / CONFIG_FILE)
    adapters = [load_file(folder / WEIGHTS_FILE) for folder in options.folders]
    save_file(mean_of(adapters, weights), options.out / WEIGHTS_FILE, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
