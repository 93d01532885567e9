"""What a model folder has beside its weights: config, tokenizer, templates."""

import shutil
from pathlib import Path

COPIED_PATTERNS = (
    "config.json", "generation_config.json", "tekken.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
)  # fmt: skip


def copy_model_files(source: Path, folder: Path) -> None:
    """Copy everything of a model folder but its weights into an existing folder."""
    for pattern in COPIED_PATTERNS:
        for file in filter(Path.is_file, source.glob(pattern)):
            shutil.copyfile(file, folder / file.name)
