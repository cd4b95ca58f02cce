"""The listing of every setting of a recipe."""

from rich.table import Table
from rich.text import Text

from affinage.records.settings_table import settings_table


def settings_listing() -> Table:
    """Return a table of name, default, values and meaning."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("setting", "default", "values", "meaning"):
        table.add_column(column, overflow="fold", no_wrap=column == "setting")
    for row in settings_table():
        table.add_row(*(Text(cell) for cell in row))
    return table
