"""Search in a folder of text files: paragraphs ranked by BM25, by SQLite's FTS5.

The index lives in memory and is made anew when the folder's files change. Nothing outside the
folder is read, links included.
"""

import re
import sqlite3
import threading
from pathlib import Path
from typing import Any

SUFFIXES = frozenset({".md", ".txt", ".rst"})
LARGEST_FILE = 4 * 1024**2
MOST_FILES = 5_000
BEST = 3
LONGEST_PARAGRAPH = 1_200
"""Characters of a paragraph that a result shows."""


class Documents:
    """The text files under ``folder``. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._lock = threading.Lock()
        self._seen: tuple[Any, ...] = ()
        self._index: sqlite3.Connection | None = None

    def search_documents(self, query: str) -> list[dict[str, str]]:
        """Search the documents of this server.

        Args:
            query: words to look for
        """
        words = re.findall(r"\w+", query)
        if not words:
            raise ValueError("the query has no words")
        match = " OR ".join(f'"{word}"' for word in words[:32])
        with self._lock:
            rows = self._current().execute(
                "SELECT file, text FROM paragraph WHERE paragraph MATCH ? ORDER BY rank LIMIT ?",
                (match, BEST),
            )
            return [{"file": file, "text": text[:LONGEST_PARAGRAPH]} for file, text in rows]

    def _current(self) -> sqlite3.Connection:
        files = self._files()
        seen = tuple((path, path.stat().st_mtime_ns) for path in files)
        if self._index is None or seen != self._seen:
            index = sqlite3.connect(":memory:", check_same_thread=False)
            index.execute(
                "CREATE VIRTUAL TABLE paragraph USING "
                "fts5(file UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 2')"
            )
            for path in files:
                name = path.relative_to(self._folder).as_posix()
                text = path.read_text(encoding="utf-8", errors="replace")
                paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text)]
                index.executemany(
                    "INSERT INTO paragraph VALUES (?, ?)",
                    [(name, paragraph) for paragraph in paragraphs if paragraph],
                )
            self._index, self._seen = index, seen
        return self._index

    def _files(self) -> list[Path]:
        paths = (
            path
            for path in sorted(self._folder.rglob("*"))
            if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink()
        )
        inside = (path for path in paths if path.resolve().is_relative_to(self._folder))
        return [path for path in inside if path.stat().st_size <= LARGEST_FILE][:MOST_FILES]
