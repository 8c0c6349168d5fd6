"""report.html: one page that holds everything, readable on a phone and on a desk."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from lighthead.speed.harness.record import FIELDS, Record
from lighthead.speed.report.page import Page, fact_lines

VERDICTS = {'holds here': 'good', 'does not hold here': 'bad'}
"""Cells that are coloured, and their CSS classes."""


def render_html(record: Record, page: Page, images: Mapping[str, bytes]) -> str:
    """The page, with the PNGs of ``images`` (by file name) inside it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('report.html.j2').render(
        title=record.title,
        facts=fact_lines(record),
        notes=[*record.notes, *page.notes],
        charts=page.charts,
        images={name: base64.b64encode(png).decode() for name, png in images.items()},
        tables=page.tables,
        fields=FIELDS,
        verdicts=VERDICTS,
    )
