"""V7 token ids of a row, with a mask of the tokens to train on.

Equal to mistral-common's rendering (a test compares them). A second implementation because
pre-training renders a thousand rows a second and needs the mask.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from recipes.tiny_mistral.corpus.rows import CorpusRow, CorpusTurn

BOS, EOS, PAD = 1, 2, 11
INST, INST_END = 3, 4
TOOLS, TOOLS_END = 5, 6
RESULTS, RESULTS_END = 7, 8
CALLS = 9
SYSTEM, SYSTEM_END = 17, 18
CONTENT = 19


@dataclass(slots=True)
class RenderedRow:
    """Token ids; ``trained`` marks those of the assistant."""

    ids: list[int] = field(default_factory=lambda: [BOS])
    trained: list[bool] = field(default_factory=lambda: [False])

    def add(self, ids: Sequence[int], trained: bool = False) -> None:
        """Append token ids."""
        self.ids.extend(ids)
        self.trained.extend([trained] * len(ids))


class Renderer:
    """Renders rows to token ids with one ``tekken.json``."""

    def __init__(self, path: Path) -> None:
        self.tekken = Tekkenizer.from_file(path)

    @property
    def vocab_size(self) -> int:
        """Number of token ids, control tokens included."""
        return int(self.tekken.n_words)

    def encode(self, text: str) -> list[int]:
        """Encode text; the result has no control tokens."""
        return list(self.tekken.encode(text, bos=False, eos=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Decode token ids, leaving out control tokens."""
        return str(self.tekken.decode([i for i in ids if i > CONTENT]))

    def row(self, row: CorpusRow) -> RenderedRow:
        """Render the whole row; all assistant messages are trained on but calls with ids."""
        return self.turns(row.turns, row.tools)

    def prompt(self, row: CorpusRow) -> list[int]:
        """Return the token ids of everything before the answer."""
        return self.turns(row.prompt, row.tools).ids

    def turns(self, turns: Sequence[CorpusTurn], tools: Sequence[object]) -> RenderedRow:
        """Render a conversation; tools stand before its last user message, as in V7."""
        rendered = RenderedRow()
        last_user = max(index for index, turn in enumerate(turns) if turn.role == "user")
        for index, turn in enumerate(turns):
            if index == last_user and tools:
                listed = json.dumps(list(tools), ensure_ascii=False)
                rendered.add([TOOLS, *self.encode(listed), TOOLS_END])
            self._turn(rendered, turn)
        return rendered

    def _turn(self, rendered: RenderedRow, turn: CorpusTurn) -> None:
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
            rendered.add([CALLS, *self.encode(calls), EOS], trained=not random_ids)
        else:
            rendered.add([*self.encode(turn.text), EOS], trained=True)
