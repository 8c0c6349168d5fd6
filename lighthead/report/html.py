"""A page as one HTML file that holds everything, readable on a phone and on a desk.

Text is escaped, whatever it holds; pictures are data URIs; the page forbids itself every
request (Content-Security-Policy), so that it shows the same without a network.
"""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from lighthead.report.page import Page

SIGNATURES = {b'\x89PNG': 'image/png', b'\xff\xd8\xff': 'image/jpeg', b'RIFF': 'image/webp'}
"""First bytes of the pictures that browsers show, and their media types."""


def render_html(page: Page, images: Mapping[str, bytes]) -> str:
    """The page; ``images`` are its charts as PNG files, by name."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['data_uri'] = data_uri
    return environment.get_template('page.html.j2').render(page=page, images=images)


def data_uri(content: bytes) -> str:
    """A picture as the address of itself.

    Raises:
        ValueError: it is no PNG, JPEG or WebP file.
    """
    for signature, media_type in SIGNATURES.items():
        if content.startswith(signature):
            return f'data:{media_type};base64,{base64.b64encode(content).decode()}'
    raise ValueError('a picture of a page must be a PNG, JPEG or WebP file')
