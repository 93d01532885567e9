"""Removes the oldest rows of a table beyond a number, and beyond a size of all together.

For tables with ``number``, which grows, and ``size`` in bytes. Knows no store.
"""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from playground.store.tables import StoredCompletion, StoredResponse


def remove_oldest(
    session: Session,
    table: type[StoredCompletion] | type[StoredResponse],
    most: int,
    most_bytes: int,
) -> None:
    """By size summed up from the latest on; the latest one always stays."""
    order = table.number.desc()
    numbered = select(
        table.id,
        func.row_number().over(order_by=order).label("place"),
        func.sum(table.size).over(order_by=order).label("bytes"),
    ).subquery()
    beyond = select(numbered.c.id).where(
        (numbered.c.place > most) | ((numbered.c.bytes > most_bytes) & (numbered.c.place > 1))
    )
    session.execute(delete(table).where(table.id.in_(beyond)))
