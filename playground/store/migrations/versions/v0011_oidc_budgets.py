"""Accounts that a provider signs in, and budgets in USD of accounts and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables and columns; nobody is linked, and the settings' budgets hold for all."""
    op.create_table(
        "account_identities",
        sa.Column("issuer", sa.String(512), primary_key=True),
        sa.Column("subject", sa.String(256), primary_key=True),
        sa.Column(
            "account_id",
            sa.String(64),
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index(
        "identities_by_account", "account_identities", ["account_id", "issuer"], unique=True
    )
    op.create_table(
        "begun_sign_ins",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(128), nullable=False),
        sa.Column("verifier", sa.String(128), nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    for table in ("accounts", "api_keys"):
        op.add_column(table, sa.Column("usd_per_day", sa.Float))
        op.add_column(table, sa.Column("usd_per_month", sa.Float))
    op.create_index("usage_by_owner", "usage", ["owner", "second"])
    op.create_index("usage_by_key", "usage", ["key", "second"])
