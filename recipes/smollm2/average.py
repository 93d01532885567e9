"""Average adapters that were trained on from one another: better than each of them alone.

    python -m recipes.smollm2.average OUT FOLDER FOLDER …

Writes the mean of the matrices in bf16 with the first one's configuration. A mean of adapters of
different beginnings would be none of them. Knows no model.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from playground.models.adapters import CONFIG_FILE, WEIGHTS_FILE


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.folders[0] / CONFIG_FILE, options.out / CONFIG_FILE)
    adapters = [load_file(folder / WEIGHTS_FILE) for folder in options.folders]
    means = {
        name: torch.stack([adapter[name].float() for adapter in adapters]).mean(dim=0)
        for name in adapters[0]
    }
    weights = {name: mean.to(torch.bfloat16).contiguous() for name, mean in means.items()}
    save_file(weights, options.out / WEIGHTS_FILE, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
