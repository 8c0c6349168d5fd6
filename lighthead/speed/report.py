"""Writing a result into a folder: results.json, results.csv, PNGs, report.html and report.md."""

from pathlib import Path

from lighthead.errors import UserError
from lighthead.speed.figures import save_all
from lighthead.speed.html import render_report
from lighthead.speed.markdown import render_markdown
from lighthead.speed.record import Result, write_csv, write_json


def prepare_folder(folder: Path) -> Path:
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
    return folder


def write_report(result: Result, folder: Path) -> list[Path]:
    """Write everything; the files written. The numbers come first, in case a picture fails."""
    write_json(result, folder / 'results.json')
    write_csv(result, folder / 'results.csv')
    images = save_all(result.pictures, folder)
    (folder / 'report.html').write_text(render_report(result, images), encoding='utf-8')
    (folder / 'report.md').write_text(render_markdown(result), encoding='utf-8')
    pictures = [f'{name}.png' for name in images]
    names = ['results.json', 'results.csv', *pictures, 'report.html', 'report.md']
    return [folder / name for name in names]
