"""Results in the terminal, with rich."""

from rich.console import Console
from rich.table import Table as RichTable

from lighthead.speed.record import Result, Table


def machine_line(machine: dict, settings: dict) -> str:
    """One line that says on what and how it was measured."""
    device = machine.get('gpu') if settings['device'] == 'cuda' else machine['cpu']
    parts = [f'{device}']
    parts.append(f'{machine["cpu_cores"]} CPU cores ({machine["cpu_capability"]})')
    parts.append(f'torch {machine["versions"].get("torch", "?")}')
    parts.append(f'python {machine["python"]}')
    parts.append(settings['precision'])
    flags = [name for name in ('fuse_bn', 'channels_last', 'compile', 'quick') if settings[name]]
    return ', '.join(parts + [flag.replace('_', '-') for flag in flags])


def roofline_line(roofline: dict) -> str:
    """One line about the machine's measured limits."""
    return (
        f'{roofline["device"]}, {roofline["threads"]} thread(s), {roofline["precision"]}: '
        f'peak {roofline["peak"] / 1e9:.0f} GFLOP/s (matrix product), '
        f'bandwidth {roofline["bandwidth"] / 1e9:.1f} GB/s (copy)'
    )


def fact_lines(result: Result) -> list[str]:
    """What a page says before its tables: the machine, its limits, what was timed, and when."""
    lines = [machine_line(result.machine, result.settings)]
    lines += ['Machine limit: ' + roofline_line(roofline) for roofline in result.rooflines]
    covers = sorted({row['covers'] for row in result.measurements if row.get('covers')})
    lines += [f'Times cover: {text}' for text in covers]
    return [*lines, f'tools/speed.py {result.subcommand}, {result.date}']


def print_result(result: Result, console: Console) -> None:
    """Print the tables and what there is to say about them."""
    console.print(f'[bold]{result.title}[/bold]')
    console.print(machine_line(result.machine, result.settings), highlight=False)
    for roofline in result.rooflines:
        console.print('machine limit: ' + roofline_line(roofline), highlight=False)
    for table in result.tables:
        console.print()
        console.print(rich_table(table, console))
        if table.note:
            console.print(f'[dim]{table.note}[/dim]', highlight=False)
    if result.notes:
        console.print()
    for note in result.notes:
        console.print(f'- {note}', highlight=False)


def rich_table(table: Table, console: Console) -> RichTable:
    """The table for the terminal; turned on its side where it is too wide and has few rows."""
    kept = [i for i, column in enumerate(table.columns) if column not in table.page_only]
    columns = [table.columns[index] for index in kept]
    rows = [[row[index] for index in kept] for row in table.rows]
    text_columns = table.text_columns
    if sum(_widths(columns, rows)) + 3 * len(columns) > console.width and len(rows) < len(columns):
        columns, *rows = (list(line) for line in zip(columns, *rows, strict=True))
        text_columns = 1
    widths = _widths(columns, rows)
    fits = LONG_WORD + sum(widths[1:]) + 3 * len(columns) < console.width
    shown = RichTable(title=table.title, title_justify='left', title_style='bold')
    for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
        shown.add_column(
            column,
            justify='left' if index < text_columns else 'right',
            min_width=width if fits and index > 0 and width <= LONG_WORD else None,
            overflow='fold',
        )
    for row in rows:
        shown.add_row(*row)
    return shown


LONG_WORD = 16
"""Longer words, such as names of configs, may be broken."""


def _widths(columns: list[str], rows: list[list[str]]) -> list[int]:
    """Of each column: its longest word, or for the first its longest cell."""
    words = [max(map(len, ' '.join(cells).split())) for cells in zip(columns, *rows, strict=True)]
    return [max(len(row[0]) for row in rows) if rows else words[0], *words[1:]]
