"""report.md: the tables and pictures for a repository's pages or an issue."""

from collections.abc import Iterable, Iterator

from lighthead.speed.console import fact_lines
from lighthead.speed.record import Result, Table


def render_markdown(result: Result) -> str:
    """The page; pictures are the PNGs beside it."""
    parts = [f'# {result.title}', *fact_lines(result)]
    if result.notes:
        parts.append('\n'.join(f'- {note}' for note in result.notes))
    for table in result.tables:
        parts.append('\n'.join(_lines(table)))
        if table.note:
            parts.append(table.note)
    for picture in result.pictures:
        parts.append(f'![{picture.caption}]({picture.name}.png)')
    return '\n\n'.join(parts) + '\n'


def _lines(table: Table) -> Iterator[str]:
    yield f'## {table.title}'
    yield ''
    yield _row(table.columns)
    yield _row('---' if i < table.text_columns else '---:' for i in range(len(table.columns)))
    for row in table.rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    cleaned = (cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(cleaned)} |'
