"""Prompts, their versions and the labels that point at them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "prompts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("prompts_by_name", "prompts", ["name"], unique=True)
    op.create_table(
        "prompt_versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_index(
        "prompt_versions_by_number", "prompt_versions", ["prompt_id", "number"], unique=True
    )
    op.create_table(
        "prompt_labels",
        sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
