"""Rows that belong to somebody: every query of theirs is narrowed to what the viewer may see.

The one place for tables, so that no query can forget it. Knows no table.
"""

from sqlalchemy import String, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

from playground.store.viewer import current_owner, current_viewer

EVERYBODYS = "playground_everybodys"
"""Execution option of a query that has to know of everybody's rows: is an id taken?"""


class Owned:
    """A row with an ``owner``: an account's id, or empty for nobody's."""

    owner: Mapped[str] = mapped_column(String(64), default=current_owner, server_default="")


@event.listens_for(Session, "do_orm_execute")
def _narrow(state: ORMExecuteState) -> None:
    """Leave out what the viewer may not see, of reads, changes and deletions alike."""
    viewer = current_viewer()
    if (
        viewer.sees_all
        or state.execution_options.get(EVERYBODYS)
        or state.is_column_load
        or state.is_relationship_load
    ):
        return
    mine = viewer.owner
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(
            with_loader_criteria(Owned, lambda cls: cls.owner == mine, include_aliases=True)
        )
