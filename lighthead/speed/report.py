"""What the pages of ``lighthead speed`` share: facts about the run, and cells of speeds."""

from collections.abc import Sequence
from pathlib import Path

from lighthead.report.page import Page, number
from lighthead.report.write import write_folder
from lighthead.speed.harness.record import FIELDS, Record, write_record


def write_report(record: Record, page: Page, folder: Path) -> list[str]:
    """Write everything; the files' names. The numbers come first, in case a chart fails."""
    write_record(record, folder / 'results.json')
    return ['results.json', *write_folder(page, folder)]


def add_facts(record: Record, page: Page) -> Page:
    """The page with the record's facts, notes and meanings of its fields."""
    page.facts = fact_lines(record)
    page.notes = [*record.notes, *page.notes]
    page.glossary_title, page.glossary = 'The fields of results.json', FIELDS
    return page


def speed(row: dict | None, field: str) -> str:
    """A speed as text, marked with ~ where its spread is too wide."""
    if row is None:
        return '-'
    return ('~' if row['wide_spread'] else '') + number(row[field])


def unique(rows: Sequence[dict], field: str) -> list:
    """The different values of a field, in the order of the rows."""
    return list(dict.fromkeys(row[field] for row in rows))


def machine_line(machine: dict, settings: dict) -> str:
    """One line that says on what and how it was measured."""
    device = machine.get('gpu') if settings['device'] == 'cuda' else machine['cpu']
    parts = [
        f'{device}',
        f'{machine["cpu_cores"]} CPU cores ({machine["cpu_capability"]})',
        f'torch {machine["versions"].get("torch", "?")}',
        f'python {machine["python"]}',
        settings['precision'],
    ]
    flags = [name for name in ('fuse_bn', 'channels_last', 'compile', 'quick') if settings[name]]
    return ', '.join(parts + [flag.replace('_', '-') for flag in flags])


def fact_lines(record: Record) -> list[str]:
    """What a page says first: the machine, its limits, what was timed, and when."""
    lines = [machine_line(record.machine, record.settings)]
    for limit in record.rooflines:
        lines.append(
            f'Machine limit: {limit["device"]}, {limit["threads"]} thread(s), '
            f'{limit["precision"]}: peak {limit["peak"] / 1e9:.0f} GFLOP/s (matrix product), '
            f'bandwidth {limit["bandwidth"] / 1e9:.1f} GB/s (copy)'
        )
    covers = sorted({row['covers'] for row in record.measurements if row.get('covers')})
    lines += [f'Times cover: {text}' for text in covers]
    return [*lines, f'lighthead speed {record.subcommand}, {record.date}']
