"""Results of an evaluation by what was asked, so that nothing is asked of the same weights twice.

One file of JSON lines for each set of weights; a killed process loses the line it was writing.
Knows no task and no backend.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path

from playground.protocol.json_types import Json

FOLDER = "evaluations"
KEY_CHARACTERS = 32


def key_of(asked: Json) -> str:
    """Name what is asked by its content."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARACTERS]


class EvaluationCache:
    """The results of one model, which ``weights`` identify. May be used from any thread; several
    processes may add to the same one.
    """

    def __init__(self, home: Path, weights: Mapping[str, Json]) -> None:
        self.path = home / FOLDER / f"{key_of(dict(weights))}.jsonl"
        self._results: dict[str, Json] = {}
        self._lock = threading.Lock()
        for line in self._whole_lines():
            try:
                key, result = json.loads(line)
            except (ValueError, TypeError):
                continue
            if isinstance(key, str):
                self._results[key] = result

    def __contains__(self, key: object) -> bool:
        return key in self._results

    def __getitem__(self, key: str) -> Json:
        return self._results[key]

    def add(self, key: str, result: Json) -> None:
        """Keep a result. Raises `OSError`."""
        line = json.dumps([key, result], ensure_ascii=False) + "\n"
        with self._lock:
            if not self._results:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line.encode("utf-8", "replace"))
            self._results[key] = result

    def _whole_lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        if content and not content.endswith(b"\n"):  # a kill cut the last line off
            with self.path.open("ab") as file:
                file.write(b"\n")
        return content.splitlines()
