"""Text search over conversations: SQLite's FTS5, PostgreSQL's tsvector.

All words must be there, in any order; the last one may be the beginning of a word. Case does not
count, nor accents in SQLite. Words are what Unicode's rules take for words, so that text without
spaces (Chinese, Japanese) is found by the beginning of a run of characters.
"""

import re
from itertools import islice
from unicodedata import combining, normalize

from sqlalchemy import ColumnElement, Select, Text, bindparam, column, func, literal_column, select
from sqlalchemy import table as sql_table
from sqlalchemy.orm import Session

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


def snippets(session: Session, query: str, numbers: list[int]) -> dict[int, str]:
    """Return a line around the first found word, by the number of the conversation.

    Cut here: FTS5's ``snippet`` takes several times as long as the search.
    """
    row = ConversationTextRow
    texts = select(row.conversation, row.text).where(row.conversation.in_(numbers))
    words = [_folded(word) for word in words_of(query)]
    return {number: _snippet(text, words) for number, text in session.execute(texts)}


def _snippet(text: str, words: list[str]) -> str:
    """The found words marked, and some words before and behind the first of them."""
    place = _first_place(text, words)
    if place is None:
        return ""
    start = max(0, place - LOOKED_BACK)
    before = list(WORD.finditer(text, start, place))[1 if start else 0 :][-WORDS_BEFORE:]
    behind = WORD.finditer(text, place)
    shown = [*before, *islice(behind, SNIPPET_WORDS - len(before))]
    line, end = "…" if shown[0].start() else "", shown[0].start()
    for token in shown:
        marked = f"{OPEN}{token[0]}{CLOSE}" if _is_found(token[0], words) else token[0]
        line += text[end : token.start()] + marked
        end = token.end()
    return " ".join(line.split()) + ("…" if next(behind, None) else "")


def _first_place(text: str, words: list[str]) -> int | None:
    """Where the first found word begins: as it was typed, or else without regard to accents."""
    *whole, last = map(re.escape, words)
    any_word = "|".join([*(word + r"\b" for word in whole), last])
    typed = re.search(rf"\b(?:{any_word})", text, re.IGNORECASE)
    if typed:
        return typed.start()
    tokens = (token.start() for token in WORD.finditer(text) if _is_found(token[0], words))
    return next(tokens, None)


def _is_found(token: str, words: list[str]) -> bool:
    folded = _folded(token)
    return folded in words[:-1] or folded.startswith(words[-1])


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
