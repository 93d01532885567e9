"""Text search over conversations: SQLite's FTS5, PostgreSQL's tsvector.

All words must be there, in any order; the last one may be the beginning of a word. Case does not
count, nor accents in SQLite. Words are what Unicode's rules take for words, so that text without
spaces (Chinese, Japanese) is found by the beginning of a run of characters.
"""

import re

from sqlalchemy import ColumnElement, Select, Text, bindparam, column, func, literal_column, select
from sqlalchemy import table as sql_table
from sqlalchemy.orm import Session

from playground.store.conversation_tables import ConversationTextRow

WORD = re.compile(r"\w+")
MAX_WORDS = 16
OPEN, CLOSE = "«", "»"
SNIPPET_WORDS = 12
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


def snippets(session: Session, dialect: str, query: str, numbers: list[int]) -> dict[int, str]:
    """Return a line around the found words, by the number of the conversation."""
    if not numbers:
        return {}
    if dialect == "postgresql":
        options = f"StartSel={OPEN},StopSel={CLOSE},MaxWords={SNIPPET_WORDS},MinWords=4"
        line = func.ts_headline(
            "simple", func.left(ConversationTextRow.text, INDEXED), _tsquery(query), options
        )
        rows = session.execute(
            select(ConversationTextRow.conversation, line).where(
                ConversationTextRow.conversation.in_(numbers)
            )
        )
    else:
        cut: ColumnElement[str] = literal_column(
            f"snippet(conversation_search, 0, '{OPEN}', '{CLOSE}', '…', {SNIPPET_WORDS})"
        )
        rows = session.execute(
            found_in(dialect, query).add_columns(cut).where(_FTS.c.rowid.in_(numbers))
        )
    return {number: " ".join(str(text).split()) for number, text in rows}


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
