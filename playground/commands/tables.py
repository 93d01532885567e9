"""Tables of the commands; where no terminal shows them a row is a whole line."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 10_000


def new_table(columns: Sequence[str], whole: Sequence[str] = ()) -> Table:
    """Return an empty table; the cells of ``whole`` columns are copied from, and never broken."""
    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    return table


def print_table(table: Table) -> None:
    """Print a table: on a terminal as wide as that is, elsewhere as wide as the table needs."""
    console = Console()
    if not console.is_terminal:
        options = console.options.update(max_width=WIDEST)
        console.width = max(console.width, Measurement.get(console, options, table).maximum)
    console.print(table)
