"""Files that the page offers for download."""

import tempfile
from pathlib import Path


def download_file(name: str, text: str) -> str:
    """Write a text to a file of this name in a new temporary folder; return its path."""
    path = Path(tempfile.mkdtemp(prefix="playground-")) / name
    path.write_text(text, encoding="utf-8")
    return str(path)
