"""V7 token ids of a row, and which of them are learned.

Equal to mistral-common's rendering (a test compares them); written again because training renders
a thousand rows a second and needs the weights beside the ids.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from recipes.tiny_mistral.corpus.rows import Row, Turn

BOS, EOS, PAD = 1, 2, 11
INST, INST_END = 3, 4
TOOLS, TOOLS_END = 5, 6
RESULTS, RESULTS_END = 7, 8
CALLS = 9
SYSTEM, SYSTEM_END = 17, 18
CONTENT = 19


@dataclass(slots=True)
class Rendered:
    """Token ids; ``learned`` marks the assistant's own tokens."""

    ids: list[int] = field(default_factory=lambda: [BOS])
    learned: list[bool] = field(default_factory=lambda: [False])

    def add(self, ids: Sequence[int], learned: bool = False) -> None:
        """Append ids."""
        self.ids.extend(ids)
        self.learned.extend([learned] * len(ids))


class Renderer:
    """Turns rows into ids with one ``tekken.json``."""

    def __init__(self, path: Path) -> None:
        self.tekken = Tekkenizer.from_file(path)

    @property
    def vocabulary(self) -> int:
        """Number of ids, control tokens included."""
        return int(self.tekken.n_words)

    def encode(self, text: str) -> list[int]:
        """Ordinary text; never control tokens."""
        return list(self.tekken.encode(text, bos=False, eos=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without control tokens."""
        return str(self.tekken.decode([i for i in ids if i > CONTENT]))

    def row(self, row: Row) -> Rendered:
        """The whole row; every answer of the assistant is learned, calls with ids are not."""
        return self.turns(row.turns, row.tools)

    def prompt(self, row: Row) -> list[int]:
        """The ids up to where the answer begins."""
        return self.turns(row.prompt, row.tools).ids

    def turns(self, turns: Sequence[Turn], tools: Sequence[object]) -> Rendered:
        """A conversation; tools stand before its last user message, as V7 has them."""
        rendered = Rendered()
        last_user = max(at for at, turn in enumerate(turns) if turn.role == "user")
        for at, turn in enumerate(turns):
            if at == last_user and tools:
                listed = json.dumps(list(tools), ensure_ascii=False)
                rendered.add([TOOLS, *self.encode(listed), TOOLS_END])
            self._turn(rendered, turn)
        return rendered

    def _turn(self, rendered: Rendered, turn: Turn) -> None:
        if turn.role == "system":
            rendered.add([SYSTEM, *self.encode(turn.text), SYSTEM_END])
        elif turn.role == "user":
            rendered.add([INST, *self.encode(turn.text), INST_END])
        elif turn.role == "tool":
            name, content = self.encode(turn.call_id), self.encode(turn.text)
            rendered.add([RESULTS, *name, CONTENT, *content, RESULTS_END])
        elif turn.calls:
            calls = json.dumps([call.as_json() for call in turn.calls], ensure_ascii=False)
            random_ids = any(call.id for call in turn.calls)
            rendered.add([CALLS, *self.encode(calls), EOS], learned=not random_ids)
        else:
            rendered.add([*self.encode(turn.text), EOS], learned=True)
