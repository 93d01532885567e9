"""Text search over conversations: SQLite's FTS5, PostgreSQL's tsvector.

All words must be there, in any order; the last one may be the beginning of a word. Case does not
count, nor accents in SQLite. Words are what Unicode's rules take for words, so that text without
spaces (Chinese, Japanese) is found by the beginning of a run of characters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from unicodedata import combining, normalize

from sqlalchemy import ColumnElement, Select, Text, bindparam, column, func, literal_column, select
from sqlalchemy import table as sql_table

from playground.store.conversation_tables import ConversationTextRow

WORD = re.compile(r"\w+")
MAX_WORDS = 16
OPEN, CLOSE = "«", "»"
SNIPPET_WORDS, WORDS_BEFORE = 12, 4
LOOKED_BACK = 100
"""Characters before the first found word in which the words before it are."""
INDEXED = 200_000
"""Characters of a conversation that PostgreSQL indexes; its index takes no more than 1 MB."""
_FTS = sql_table("conversation_search", column("rowid"), column("conversation_search"))


def words_of(query: str) -> list[str]:
    """Return the words of what was typed."""
    return WORD.findall(query)[:MAX_WORDS]


def found_in(dialect: str, query: str) -> Select[int]:
    """Return a selection of the numbers of the conversations that have all words of the query."""
    if dialect == "postgresql":
        number = ConversationTextRow.conversation
        return select(number).where(_vector().op("@@")(_tsquery(query)))
    match = _FTS.c.conversation_search.op("MATCH")(bindparam(None, _fts5(query), unique=True))
    return select(_FTS.c.rowid).where(match)


def snippets(query: str, texts: Iterable[str]) -> list[str]:
    """Return of each text a line around the first found word.

    Cut here: FTS5's ``snippet`` takes several times as long as the search.
    """
    words = Sought.of(query)
    return [_snippet(text, words) for text in texts]


@dataclass(frozen=True, slots=True)
class Sought:
    """The words of a query, folded: ``whole`` ones, and the ``last`` one, which may be a
    beginning. ``pattern`` finds them; ``is_plain``: all are ASCII."""

    whole: frozenset[str]
    last: str
    pattern: re.Pattern[str]
    is_plain: bool

    @classmethod
    def of(cls, query: str) -> "Sought":
        """Read a query, which has a word."""
        *whole, last = map(_folded, words_of(query))
        any_word = "|".join([*(re.escape(word) + r"\b" for word in whole), re.escape(last)])
        pattern = re.compile(rf"\b(?:{any_word})", re.IGNORECASE)
        return cls(frozenset(whole), last, pattern, any_word.isascii())

    def is_in(self, token: str) -> bool:
        """Whether a word of a text is one of them."""
        folded = _folded(token)
        return folded.startswith(self.last) or folded in self.whole

    def first_place(self, text: str) -> int | None:
        """Return where the first found word begins: as it was typed, or else without regard to
        accents."""
        lowered = text.lower()
        if self.is_plain and len(lowered) == len(text):  # a pattern takes many times as long
            places = [_place(lowered, word, whole=True) for word in self.whole]
            found = [each for each in (*places, _place(lowered, self.last)) if each >= 0]
            if found:
                return min(found)
        elif typed := self.pattern.search(text):
            return typed.start()
        return next((each.start() for each in WORD.finditer(text) if self.is_in(each[0])), None)


def _place(text: str, word: str, *, whole: bool = False) -> int:
    """Where a word, or one that begins so, begins in lower case; -1 if there is none."""
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        begins = place == 0 or not _in_word(text[place - 1])
        if begins and not (whole and end < len(text) and _in_word(text[end])):
            return place
        place = text.find(word, place + 1)
    return -1


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _snippet(text: str, words: Sought) -> str:
    """The found words marked, and some words before and behind the first of them."""
    place = words.first_place(text)
    if place is None:
        return ""
    start = max(0, place - LOOKED_BACK)
    before = list(WORD.finditer(text, start, place))[1 if start else 0 :][-WORDS_BEFORE:]
    behind = WORD.finditer(text, place)
    shown = [*before, *islice(behind, SNIPPET_WORDS - len(before))]
    line, end = "…" if shown[0].start() else "", shown[0].start()
    for token in shown:
        word, begin = token[0], token.start()
        is_found = begin >= place and words.is_in(word)
        line += text[end:begin] + (f"{OPEN}{word}{CLOSE}" if is_found else word)
        end = token.end()
    return " ".join(line.split()) + ("…" if next(behind, None) else "")


def _folded(word: str) -> str:
    """Without case and accents, as FTS5's index has it."""
    if word.isascii():
        return word.lower()
    letters = normalize("NFD", word.casefold())
    return "".join(letter for letter in letters if not combining(letter))


def _fts5(query: str) -> str:
    *whole, last = words_of(query)
    return " ".join([*(f'"{word}"' for word in whole), f'"{last}"*'])


def _tsquery(query: str) -> ColumnElement[object]:
    *whole, last = words_of(query)
    lexemes = " & ".join([*(f"'{word}'" for word in whole), f"'{last}':*"])
    return func.to_tsquery(literal_column("'simple'"), bindparam(None, lexemes, Text, unique=True))


def _vector() -> ColumnElement[object]:
    """The expression of the index, to the letter."""
    text = func.left(ConversationTextRow.text, literal_column(str(INDEXED)))
    return func.to_tsvector(literal_column("'simple'"), text)
