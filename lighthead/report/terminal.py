"""A page in the terminal, with rich."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from lighthead.report.page import Page, Section, Table

LONG_WORD = 16
"""Longer words, such as names of configs, may be broken."""


def print_page(page: Page, console: Console) -> None:
    """Print the facts, the tables and the notes; then those of the sections."""
    console.print(f'[bold]{escape(page.title)}[/bold]')
    for line in page.facts:
        _print_line(console, line)
    _print_parts(page, console)
    for section in page.sections:
        console.print(f'\n[bold]{escape(section.title)}[/bold]')
        _print_parts(section, console)


def _print_parts(section: Section, console: Console) -> None:
    for table in section.tables:
        console.print()
        console.print(rich_table(table, console.width))
        if table.note:
            _print_line(console, table.note, 'dim')
    for note in section.notes:
        _print_line(console, f'- {note}')


def _print_line(console: Console, text: str, style: str = '') -> None:
    console.print(Text(text, style))


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
    shown = RichTable(title=escape(table.title), title_justify='left', title_style='bold')
    for index, (column, least) in enumerate(zip(columns, widths, strict=True)):
        shown.add_column(
            escape(column),
            justify='left' if index < text_columns else 'right',
            min_width=least if fits and index > 0 and least <= LONG_WORD else None,
            overflow='fold',
        )
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def _widths(columns: list[str], rows: list[list[str]]) -> list[int]:
    """Of each column: its longest word, or for the first its longest cell."""
    words = [max(map(len, ' '.join(cells).split())) for cells in zip(columns, *rows, strict=True)]
    return [max((len(row[0]) for row in rows), default=words[0]), *words[1:]]
