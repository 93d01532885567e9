"""Conversations with their items, tags and the text that is searched."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

CONVERSATION = "conversations.number"


def upgrade() -> None:
    """Make their tables, and the index of this database's own text search."""
    op.create_table(
        "conversations",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("folder", sa.String(128), nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("tools", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("head_id", sa.String(128), nullable=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_index("conversations_by_id", "conversations", ["id"], unique=True)
    op.create_index("conversations_by_time", "conversations", ["archived", "updated", "number"])
    op.create_index("conversations_by_folder", "conversations", ["folder", "archived", "updated"])
    op.create_table(
        "conversation_items",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("conversation", sa.Integer, sa.ForeignKey(CONVERSATION), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("parent_id", sa.String(128), nullable=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("item", sa.JSON, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
    )
    op.create_index(
        "items_of_conversation", "conversation_items", ["conversation", "id"], unique=True
    )
    op.create_table(
        "conversation_tags",
        sa.Column("conversation", sa.Integer, sa.ForeignKey(CONVERSATION), primary_key=True),
        sa.Column("tag", sa.String(64), primary_key=True),
    )
    op.create_index("conversations_by_tag", "conversation_tags", ["tag"])
    op.create_table(
        "conversation_texts",
        sa.Column("conversation", sa.Integer, sa.ForeignKey(CONVERSATION), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE INDEX conversation_search ON conversation_texts "
            "USING gin (to_tsvector('simple', left(text, 200000)))"
        )
    else:
        _make_fts5()


def _make_fts5() -> None:
    """An index that holds no text of its own, kept in step by triggers."""
    op.execute(
        "CREATE VIRTUAL TABLE conversation_search USING fts5("
        "text, content='conversation_texts', content_rowid='conversation', prefix='2 3', "
        "tokenize='unicode61 remove_diacritics 2')"
    )
    added = "INSERT INTO conversation_search(rowid, text) VALUES (new.conversation, new.text);"
    removed = (
        "INSERT INTO conversation_search(conversation_search, rowid, text) "
        "VALUES ('delete', old.conversation, old.text);"
    )
    for name, when, body in (
        ("added", "INSERT", added),
        ("removed", "DELETE", removed),
        ("changed", "UPDATE", removed + added),
    ):
        op.execute(
            f"CREATE TRIGGER conversation_text_{name} AFTER {when} ON conversation_texts "
            f"BEGIN {body} END"
        )
