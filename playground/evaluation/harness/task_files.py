"""Where lm-eval's own tasks are: in which of its folders a name stands, by the files' text alone.

To parse all 15,000 of them takes 15 seconds and more, to search them one or two. Knows no YAML.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

SUFFIXES = ("", ".yaml", ".yml")
"""Of tasks, and of what they include."""
DECLARED = re.compile(r"^['\"]?(?:task|group|tag)['\"]?:[ \t]*['\"]?([\w.-]+)", re.MULTILINE)
OUTSIDE = re.compile(r"(?:\.\./)+[^\s'\",\]]+")
"""A path that may lead to another folder."""
BEFORE, AFTER = r"(?<![^\s\"',\[\]{}:])", r"(?![^\s\"',\[\]{}:])"
"""Around a name that is the whole of a value in YAML."""


class TaskFiles:
    """The texts of the task files below ``root``, by the folders directly in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _read(self) -> dict[str, list[tuple[Path, str]]]:
        found: defaultdict[str, list[tuple[Path, str]]] = defaultdict(list)
        for folder, _, names in os.walk(self._root):
            top = self._folder_of(Path(folder))
            for name in names:
                path = Path(folder, name)
                if path.suffix in SUFFIXES:
                    text = path.read_text(encoding="utf-8", errors="replace")
                    found[top].append((path, text))
        return dict(found)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {
            folder: "\n".join(text for _, text in files) for folder, files in self._read.items()
        }

    @cached_property
    def _includers(self) -> dict[str, set[str]]:
        """By folder: others that include a file of it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for folder, files in self._read.items():
            for path, text in files:
                for outside in OUTSIDE.findall(text):
                    included = self._folder_of(Path(os.path.normpath(path.parent / outside)))
                    if included != folder:
                        found[included].add(folder)
        return found

    def _folder_of(self, path: Path) -> str:
        return os.path.relpath(path, self._root).partition(os.sep)[0]

    @property
    def names(self) -> list[str]:
        """All names of tasks and groups, and those of tags that stand beside their key."""
        return sorted({name for text in self._texts.values() for name in DECLARED.findall(text)})

    def folders_of(self, names: Iterable[str]) -> list[Path]:
        """Return the folders with files that have one of the names, or that include such files; in
        the order of the paths in them."""
        pattern = re.compile(f"{BEFORE}(?:{'|'.join(map(re.escape, names))}){AFTER}")
        has = [folder for folder, text in self._texts.items() if pattern.search(text)]
        found = sorted(self._with_includers(has), key=lambda folder: f"{folder}/")
        return [self._root / folder for folder in found]

    def _with_includers(self, folders: Iterable[str]) -> Iterator[str]:
        waiting, seen = list(folders), set[str]()
        while waiting:
            folder = waiting.pop()
            if folder not in seen:
                seen.add(folder)
                yield folder
                waiting.extend(self._includers.get(folder, ()))
