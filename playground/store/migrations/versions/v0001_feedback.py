"""Exchanges with their answers, votes, thumbs and edits."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first five tables."""
    op.create_table(
        "exchanges",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.Column("tools", sa.JSON, nullable=False),
        sa.Column("blind", sa.Boolean, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("exchange_id", sa.String(32), sa.ForeignKey("exchanges.id"), nullable=False),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("made_by", sa.JSON, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("calls", sa.JSON, nullable=False),
    )
    op.create_index("answers_by_exchange", "answers", ["exchange_id"])
    op.create_table(
        "votes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("exchange_id", sa.String(32), sa.ForeignKey("exchanges.id"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("winner_id", sa.String(32), sa.ForeignKey("answers.id"), nullable=True),
    )
    op.create_index("votes_by_exchange", "votes", ["exchange_id"])
    for name, column in (
        ("thumbs", sa.Column("up", sa.Boolean, nullable=False)),
        ("edits", sa.Column("text", sa.Text, nullable=False)),
    ):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("answer_id", sa.String(32), sa.ForeignKey("answers.id"), nullable=False),
            sa.Column("created", sa.DateTime(timezone=True), nullable=False),
            column,
        )
        op.create_index(f"{name}_by_answer", name, ["answer_id"])
