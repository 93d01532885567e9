"""``made_by`` of answers is ``provenance``, the field's word."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rename the column; what was kept stays."""
    with op.batch_alter_table("answers") as answers:
        answers.alter_column("made_by", new_column_name="provenance")
