"""Results in the terminal, with rich."""

from rich.console import Console
from rich.table import Table as RichTable

from lighthead.speed.harness.record import Record
from lighthead.speed.report.page import Page, Table, fact_lines

LONG_WORD = 16
"""Longer words, such as names of configs, may be broken."""


def print_report(record: Record, page: Page, console: Console) -> None:
    """Print the facts, the tables and the notes."""
    console.print(f'[bold]{record.title}[/bold]')
    for line in fact_lines(record):
        console.print(line, highlight=False)
    for table in page.tables:
        console.print()
        console.print(rich_table(table, console.width))
        if table.note:
            console.print(f'[dim]{table.note}[/dim]', highlight=False)
    for note in [*record.notes, *page.notes]:
        console.print(f'- {note}', highlight=False)


def rich_table(table: Table, width: int) -> RichTable:
    """The table for a terminal; transposed where it is too wide and has few rows."""
    kept = [i for i, column in enumerate(table.columns) if column not in table.page_only]
    columns = [table.columns[index] for index in kept]
    rows = [[row[index] for index in kept] for row in table.rows]
    text_columns = table.text_columns
    if sum(_widths(columns, rows)) + 3 * len(columns) > width and len(rows) < len(columns):
        columns, *rows = (list(line) for line in zip(columns, *rows, strict=True))
        text_columns = 1
    widths = _widths(columns, rows)
    fits = LONG_WORD + sum(widths[1:]) + 3 * len(columns) < width
    shown = RichTable(title=table.title, title_justify='left', title_style='bold')
    for index, (column, least) in enumerate(zip(columns, widths, strict=True)):
        shown.add_column(
            column,
            justify='left' if index < text_columns else 'right',
            min_width=least if fits and index > 0 and least <= LONG_WORD else None,
            overflow='fold',
        )
    for row in rows:
        shown.add_row(*row)
    return shown


def _widths(columns: list[str], rows: list[list[str]]) -> list[int]:
    """Of each column: its longest word, or for the first its longest cell."""
    words = [max(map(len, ' '.join(cells).split())) for cells in zip(columns, *rows, strict=True)]
    return [max((len(row[0]) for row in rows), default=words[0]), *words[1:]]
