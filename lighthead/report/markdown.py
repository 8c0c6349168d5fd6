"""A page as Markdown: charts and tables for a repository's pages or an issue."""

from collections.abc import Iterable, Iterator

from lighthead.report.page import Page, Section, Table


def render_markdown(page: Page) -> str:
    """The page; its charts are the PNGs next to it, its pictures are left out."""
    parts = [f'# {page.title}', *page.facts, *_parts(page, '##')]
    for section in page.sections:
        parts += [f'## {section.title}', *_parts(section, '###')]
    return '\n\n'.join(parts) + '\n'


def _parts(section: Section, heading: str) -> Iterator[str]:
    if section.notes:
        yield '\n'.join(f'- {note}' for note in section.notes)
    for chart in section.charts:
        yield f'![{chart.caption}]({chart.name}.png)'
    for table in section.tables:
        yield f'{heading} {table.title}'
        yield table_lines(table)
        if table.note:
            yield table.note


def table_lines(table: Table) -> str:
    """The table without its title."""
    count = len(table.columns)
    rules = ['---' if i < table.text_columns else '---:' for i in range(count)]
    return '\n'.join(_row(cells) for cells in (table.columns, rules, *table.rows))


def _row(cells: Iterable[str]) -> str:
    cleaned = (cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(cleaned)} |'
