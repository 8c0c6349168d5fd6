"""The page of ``lighthead demo``: files that a browser loads from this server alone.

gradio was tried first: of its versions 5.25 to 6.31 none fits the pinned packages (6.10 wants
pillow below 13 and starlette below 1), and its wheels have 24 to 47 MB. This page needs nothing but
the server of ``lighthead serve``, and works without a network.
"""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response

FOLDER = Path(__file__).parent / 'static'
TYPES = {'.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript'}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob: mediastream:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and run: nothing but what stands in these files."""
HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-cache',
}


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/``, and its files next to it."""
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in TYPES:
            _add_file(app, '/' if path.name == 'index.html' else f'/{path.name}', path)


def _add_file(app: FastAPI, address: str, path: Path) -> None:
    content, media_type = path.read_bytes(), TYPES[path.suffix]

    @app.get(address, include_in_schema=False)
    async def file() -> Response:
        return Response(content, media_type=media_type, headers=HEADERS)
