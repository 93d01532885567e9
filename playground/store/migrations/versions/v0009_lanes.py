"""Comparisons with tags; answers with a stored prompt and a conversation of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; what was kept has no tags, no prompt and the comparison's messages."""
    with op.batch_alter_table("exchanges") as exchanges:
        exchanges.add_column(sa.Column("tags", sa.JSON, nullable=False, server_default="[]"))
    with op.batch_alter_table("answers") as answers:
        answers.add_column(sa.Column("prompt", sa.String(256), nullable=False, server_default=""))
        answers.add_column(sa.Column("messages", sa.JSON, nullable=True))
