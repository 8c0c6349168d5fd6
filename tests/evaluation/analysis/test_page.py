"""Pages of reports: whole, escaped, and shown by a browser without a network."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead.errors import UserError
from lighthead.evaluation.analysis.compare import comparison_page
from lighthead.evaluation.analysis.evaluated import Evaluated, read_evaluated
from lighthead.evaluation.analysis.outcomes import ImageOutcome
from lighthead.evaluation.analysis.page import report_page
from lighthead.evaluation.analysis.pictures import COLOURS, draw_outcome
from lighthead.report.html import render_html
from lighthead.report.write import write_html

from .scenes import scene

HOSTILE = '<img src=x onerror="document.title=1">&\'x'
BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
CURVES = ({'loss': {1: 2.0, 2: 1.0}, 'lr': {1: 0.1}}, {'coco/bbox_mAP': {1: 0.1, 2: -1}})


def evaluated(folder: Path, name: str = 'run', seed: int = 0) -> Evaluated:
    """A scene with class and file names that are markup, and grey images for most of it."""
    ann_file, found = scene(folder, seed, images=12)
    content = json.loads(ann_file.read_text())
    content['categories'][0]['name'] = HOSTILE
    for image in content['images']:
        image['file_name'] = f'{image["id"]}{HOSTILE}.png'.replace('/', '_')
        if image['id']:
            pixels = np.full((300, 400, 3), 128, np.uint8)
            (folder / image['file_name']).write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
    ann_file.write_text(json.dumps(content))
    return read_evaluated(found, ann_file, folder, name=name)


class Tags(HTMLParser):
    """The elements of a page, and the attributes that lead to code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count, self.handlers = {}, []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.handlers += [name for name, _ in attrs if name.startswith('on')]


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> dict[str, Path]:
    """A report and a comparison."""
    folder = tmp_path_factory.mktemp('pages')
    first, second = evaluated(folder / 'a', HOSTILE), evaluated(folder / 'a', 'b')
    second.detections = second.detections[::2]
    pages = dict(
        report=report_page(first, {'config': HOSTILE}, CURVES, images=4),
        comparison=comparison_page(first, second),
    )
    for name, page in pages.items():
        write_html(page, folder / f'{name}.html')
    return {name: folder / f'{name}.html' for name in pages}


@pytest.mark.parametrize('name', ['report', 'comparison'])
def test_names_stay_text(files, name):
    tags = Tags(files[name].read_text())
    assert not tags.handlers
    assert tags.count['script'] == 1
    assert tags.count['img'] > 5


def test_the_report_has_every_section(tmp_path):
    page = report_page(evaluated(tmp_path), {'config': 'x'}, CURVES, images=2)
    titles = [section.title for section in page.sections]
    assert titles == [
        *('COCO figures', 'Classes', 'Curves', 'Confusion matrix', 'Errors', 'Object size'),
        *('Calibration', 'Worst and best images', 'Training', 'Model card'),
    ]
    images = page.sections[7]
    assert len(images.pictures) >= 3
    unread = sum('could not be read' in note for note in images.notes)
    assert unread <= 1
    assert 'Images' in [s.title for s in report_page(read_without_images(tmp_path)).sections]


def read_without_images(folder: Path) -> Evaluated:
    return read_evaluated(folder / 'found.json', folder / 'val.json')


def test_colours_say_right_wrong_and_missed(tmp_path):
    run = evaluated(tmp_path)
    boxes = [[10, 40, 50, 50], [110, 40, 50, 50], [210, 40, 50, 50]]
    found, wrong, missed = (dict(bbox=box, category_id=30, score=0.5) for box in boxes)
    outcome = ImageOutcome(run.coco.imgs[1], [(found, found)], [wrong], [missed])
    drawn = draw_outcome(run, outcome)
    assert [tuple(drawn[89, x].tolist()) for x in (35, 135, 235)] == [(128,) * 3] * 3
    assert [tuple(drawn[90, x].tolist()) for x in (35, 135, 235)] == list(COLOURS)


def test_a_run_against_itself_does_not_differ(tmp_path):
    page = comparison_page(evaluated(tmp_path), evaluated(tmp_path))
    html = render_html(page, {f'{chart.name}.png': b'\x89PNG' for chart in page.all_charts})
    assert 'class="good"' not in html
    assert 'class="bad"' not in html
    assert '0 images got worse, 0 better' in html


def test_what_got_worse_is_marked(files):
    text = files['comparison'].read_text()
    assert 'class="bad"' in text
    assert 'images got worse' in text


def test_runs_of_other_classes_cannot_be_compared(tmp_path):
    first = evaluated(tmp_path)
    second = read_evaluated(tmp_path / 'found.json', tmp_path / 'val.json', classes=[HOSTILE])
    with pytest.raises(UserError, match='different classes'):
        comparison_page(first, second)


def test_nothing_found_is_a_report_too(tmp_path):
    run = evaluated(tmp_path)
    run.detections = []
    write_html(report_page(run, images=1), tmp_path / 'page.html')
    assert '0 detections' in (tmp_path / 'page.html').read_text()


@pytest.mark.skipif(BROWSER is None, reason='no chromium is installed')
@pytest.mark.parametrize('width', [1280, 400])
@pytest.mark.parametrize('name', ['report', 'comparison'])
def test_a_browser_shows_it_without_errors(files, name, width, tmp_path):
    picture = tmp_path / 'page.png'
    command = [
        *(BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'),
        *('--enable-logging=stderr', '--v=0', '--disable-dev-shm-usage'),
        *(f'--user-data-dir={tmp_path}/profile', f'--window-size={width},3000'),
        *(f'--screenshot={picture}', files[name].as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert picture.is_file(), done.stderr
    assert 'CONSOLE' not in done.stderr
    image = cv2.imread(str(picture))
    assert image.shape[1] == width
    assert image.std() > 10, 'the page is not empty'
