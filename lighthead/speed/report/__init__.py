"""One report for every experiment: in the terminal, and as report.html, report.md and PNGs."""

from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import write_bytes_file, write_text_file
from lighthead.speed.harness.record import Record, write_record
from lighthead.speed.report.charts import render
from lighthead.speed.report.html import render_html
from lighthead.speed.report.markdown import render_markdown
from lighthead.speed.report.page import Page


def prepare_folder(folder: Path) -> None:
    """Make the folder before anything is measured, so that a bad path shows at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / '.writable'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f'--out {folder} cannot be written ({error.strerror}): choose another folder.'
        ) from None


def write_report(record: Record, page: Page, folder: Path) -> list[str]:
    """Write everything; the files' names. The numbers come first, in case a chart fails."""
    write_record(record, folder / 'results.json')
    images = {f'{chart.name}.png': render(chart) for chart in page.charts}
    for name, content in images.items():
        write_bytes_file(content, folder / name)
    write_text_file(render_html(record, page, images), folder / 'report.html')
    write_text_file(render_markdown(record, page), folder / 'report.md')
    return ['results.json', *images, 'report.html', 'report.md']
