"""Tables on a terminal."""

from rich.table import Table


def make_table(title: str, *columns: str, words: int = 1) -> Table:
    """An empty table; its first columns are words, the others numbers, which stand to the right."""
    table = Table(title=title)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < words else "right", no_wrap=index < words)
    return table
