"""Pages as files."""

from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import write_bytes_file, write_text_file
from lighthead.report.charts import render
from lighthead.report.html import render_html
from lighthead.report.markdown import render_markdown
from lighthead.report.page import Page


def prepare_folder(folder: Path, flag: str = '--out') -> None:
    """Make the folder before anything is measured, so that a bad path shows at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / '.writable'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f'{flag} {folder} cannot be written ({error.strerror}): choose another folder.'
        ) from None


def prepare_page(path: Path, flag: str = '--out') -> None:
    """Refuse a name that cannot become a page, and make its folder.

    Raises:
        UserError: it does not end in .html, is a folder, or its folder cannot be written.
    """
    if path.suffix.lower() not in ('.html', '.htm') or path.is_dir():
        raise UserError(f'{flag} {path}: name a file that ends in .html.')
    prepare_folder(path.parent, flag)


def write_html(page: Page, path: Path) -> None:
    """Write the page as one HTML file."""
    write_text_file(render_html(page, _images(page)), path)


def write_folder(page: Page, folder: Path) -> list[str]:
    """Write report.html, report.md and the charts; the files' names."""
    images = _images(page)
    for name, content in images.items():
        write_bytes_file(content, folder / name)
    write_text_file(render_html(page, images), folder / 'report.html')
    write_text_file(render_markdown(page), folder / 'report.md')
    return [*images, 'report.html', 'report.md']


def _images(page: Page) -> dict[str, bytes]:
    """The charts as PNG files, by name."""
    return {f'{chart.name}.png': render(chart) for chart in page.all_charts}
