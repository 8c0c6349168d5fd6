"""report.md: charts and tables for a repository's pages or an issue."""

from collections.abc import Iterable

from lighthead.speed.harness.record import Record
from lighthead.speed.report.page import Page, Table, fact_lines


def render_markdown(record: Record, page: Page) -> str:
    """The page; its charts are the PNGs next to it."""
    parts = [f'# {record.title}', *fact_lines(record)]
    notes = [*record.notes, *page.notes]
    if notes:
        parts.append('\n'.join(f'- {note}' for note in notes))
    parts += [f'![{chart.caption}]({chart.name}.png)' for chart in page.charts]
    for table in page.tables:
        parts += [f'## {table.title}', table_lines(table)]
        if table.note:
            parts.append(table.note)
    return '\n\n'.join(parts) + '\n'


def table_lines(table: Table) -> str:
    """The table without its title."""
    count = len(table.columns)
    rules = ['---' if i < table.text_columns else '---:' for i in range(count)]
    return '\n'.join(_row(cells) for cells in (table.columns, rules, *table.rows))


def _row(cells: Iterable[str]) -> str:
    cleaned = (cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(cleaned)} |'
