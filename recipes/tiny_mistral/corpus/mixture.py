"""The mixture of task families, and its curriculum."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from recipes.tiny_mistral.corpus import chat, copying, extraction, rich, smalltalk, systems, tools
from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.rows import CorpusRow

RowMaker = Callable[[Draw], CorpusRow]


class ToolRowMaker(Protocol):
    """A function that draws a row with at most ``max_tools`` tools."""

    def __call__(self, draw: Draw, max_tools: int = 4) -> CorpusRow:
        """Draw the row."""


TOOL_FAMILIES: Mapping[str, ToolRowMaker] = {
    "tools.call": tools.call_row,
    "tools.parallel": tools.parallel_row,
    "tools.decline": tools.decline_row,
    "tools.answer": tools.answer_row,
}
FAMILIES: Mapping[str, RowMaker] = {
    "chat.identity": smalltalk.identity_row,
    "chat.greetings": smalltalk.greetings_row,
    "chat.facts": chat.facts_row,
    "chat.unknown": chat.unknown_row,
    "chat.follow_up": chat.follow_up_row,
    "chat.memory": chat.memory_row,
    "chat.conversation": chat.conversation_row,
    "chat.markdown": rich.rich_row,
    "system.language": systems.language_row,
    "system.persona": systems.persona_row,
    "system.suffix": systems.suffix_row,
    "system.pirate": partial(systems.simple_row, family="system.pirate"),
    "system.one_word": partial(systems.simple_row, family="system.one_word"),
    "system.upper": partial(systems.simple_row, family="system.upper"),
    "system.json": partial(systems.simple_row, family="system.json"),
    **TOOL_FAMILIES,
    "extraction": extraction.extraction_row,
    "copying": copying.copying_row,
}
# Rows in a thousand; tool rows are three times as long as chat rows.
WEIGHTS: Mapping[str, int] = {
    "chat.identity": 60,
    "chat.greetings": 65,
    "chat.facts": 115,
    "chat.unknown": 45,
    "chat.follow_up": 25,
    "chat.memory": 60,
    "chat.conversation": 45,
    "chat.markdown": 35,
    "system.language": 60,
    "system.persona": 45,
    "system.suffix": 35,
    "system.pirate": 15,
    "system.one_word": 30,
    "system.upper": 40,
    "system.json": 20,
    "tools.call": 165,
    "tools.parallel": 85,
    "tools.decline": 45,
    "tools.answer": 60,
    "extraction": 145,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the curriculum: tools per row, and the fraction of copying practice."""

    max_tools: int = 4
    copying: float = 0.09


def draw_row(draw: Draw, stage: Stage = Stage()) -> CorpusRow:
    """Draw a row of the mixture."""
    if draw.chance(stage.copying):
        return copying.copying_row(draw)
    family = draw.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if family in TOOL_FAMILIES:
        return TOOL_FAMILIES[family](draw, stage.max_tools)
    return FAMILIES[family](draw)
