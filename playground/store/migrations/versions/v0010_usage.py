"""What each answer took: tokens and times, by model, key, conversation and prompt version."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table; what was answered before is not counted."""
    op.create_table(
        "usage",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("second", sa.Integer, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("adapter_hash", sa.String(64), nullable=False),
        sa.Column("prompt", sa.String(256), nullable=False),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("finish_reason", sa.String(16), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("cached_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("first_token_s", sa.Float, nullable=False),
        sa.Column("total_s", sa.Float, nullable=False),
        sa.Column("running_s", sa.Float, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False, server_default=""),
    )
    op.create_index("usage_by_time", "usage", ["second"])
    op.create_index("usage_by_conversation", "usage", ["conversation"])
