"""Alembic's entry: runs migrations on the connection that `open_database` hands over."""

from alembic import context

from playground.store import (
    account_tables,  # noqa: F401 - its tables belong to it
    conversation_tables,  # noqa: F401 - its tables belong to it
    link_tables,  # noqa: F401 - its tables belong to it
    usage_tables,  # noqa: F401 - its tables belong to it
)
from playground.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
