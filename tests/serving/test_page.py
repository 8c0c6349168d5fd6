"""The page of ``lighthead demo`` in a headless browser: files in, boxes and JSON out.

LIGHTHEAD_SCREENSHOTS=FOLDER keeps pictures of the page.
"""

import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from .stub import StubDetector, picture, serving, wait_until

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
SWITCHES = ['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']
WIDTHS = {'desktop': (1280, 900), 'phone': (400, 800)}
pytestmark = pytest.mark.skipif(BROWSER is None, reason='no Chromium is installed')


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api')
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=BROWSER, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture
def detector() -> StubDetector:
    return StubDetector()


@pytest.fixture
def server(detector):
    with serving(detector, page=True, max_upload=0.3, max_pixels=0.5, queue=1) as client:
        yield client


@pytest.fixture
def page(browser, server):
    """The page, which may log no error."""
    size = dict(zip(('width', 'height'), WIDTHS['desktop']))
    opened = browser.new_page(viewport=size, permissions=['camera'])
    faults: list[str] = []
    opened.on('pageerror', lambda error: faults.append(str(error)))
    opened.on(
        'console', lambda message: faults.append(message.text) if message.type == 'error' else 0
    )
    opened.faults = faults
    opened.goto(f'http://127.0.0.1:{server.port}/')
    wait_for_text(opened, '#facts', 'finds cat')
    yield opened
    opened.close()
    assert [fault for fault in faults if 'status of' not in fault] == []


def upload(page, content: bytes, name: str = 'photo.png', kind: str = 'image/png') -> None:
    page.set_input_files('#file', dict(name=name, mimeType=kind, buffer=content))


def wait_for_text(page, selector: str, pattern: str) -> None:
    """Playwright's own wait: the page's policy forbids to evaluate text again and again."""
    api = pytest.importorskip('playwright.sync_api')
    api.expect(page.locator(selector)).to_have_text(re.compile(pattern), timeout=60_000)


def wait_for_boxes(page) -> None:
    page.wait_for_selector('#table:not([hidden]), #error:not([hidden])')
    assert page.text_content('#error') == '' or page.is_hidden('#error')


def keep_screenshot(page, name: str) -> None:
    """At both widths; nothing may be wider than the window."""
    for width, (x, y) in WIDTHS.items():
        page.set_viewport_size(dict(width=x, height=y))
        assert page.evaluate('document.documentElement.scrollWidth') <= x
        if folder := os.environ.get('LIGHTHEAD_SCREENSHOTS'):
            page.screenshot(path=Path(folder) / f'{name}-{width}.png', full_page=True)


def downloaded(page, button: str) -> bytes:
    with page.expect_download() as event:
        page.click(button)
    return Path(event.value.path()).read_bytes()


def rows(page) -> list[str]:
    return page.locator('#table tbody tr td:first-child').all_text_contents()


def canvas_pixel(page, x: int, y: int) -> list[int]:
    """Red, green, blue and alpha of the layer with the boxes, in the image's pixels."""
    return page.evaluate(
        """([x, y, width]) => {
          const canvas = document.querySelector('#boxes');
          const factor = canvas.width / width;
          return [...canvas.getContext('2d').getImageData(x * factor, y * factor, 1, 1).data];
        }""",
        [x, y, 320],
    )


def test_an_image_is_uploaded_and_its_boxes_are_drawn(page):
    keep_screenshot(page, 'empty')
    upload(page, picture(size=(240, 320)))
    wait_for_boxes(page)
    assert rows(page) == ['cat', 'Straße']
    assert '320 x 240 pixels' in page.text_content('#status')
    assert canvas_pixel(page, 1, 12)[3] == 255  # the left side of the box
    assert canvas_pixel(page, 200, 200)[3] == 0
    keep_screenshot(page, 'image')


def test_the_threshold_and_the_classes_choose_what_is_shown_and_saved(page):
    upload(page, picture(size=(240, 320)))
    wait_for_boxes(page)
    page.fill('#threshold', '0.6')
    assert rows(page) == ['cat']
    data = json.loads(downloaded(page, '#json'))
    assert (data['file'], data['names'], data['score_thr']) == ('photo.png', ['cat'], 0.6)
    assert data['boxes'] == [[1, 2, 30, 20]]
    page.fill('#threshold', '0.3')
    page.click('#classes button:has-text("cat")')
    assert rows(page) == ['Straße']
    drawing = cv2.imdecode(np.frombuffer(downloaded(page, '#picture'), np.uint8), cv2.IMREAD_COLOR)
    assert drawing.shape == (240, 320, 3)
    assert drawing[200, 200].tolist() == [0, 0, 255]
    assert drawing[12, 2].tolist() != [0, 0, 255]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'no image', 'cannot be read as an image: send a JPEG'),
        (bytes(400_000), 'photo.png has 0.4 MiB, and 0.3 MiB is the limit'),
        (picture(size=(800, 800)), '800 x 800 pixels, and 0.5 million is the limit'),
    ],
)
def test_what_cannot_be_used_is_said_in_words(page, content, message):
    upload(page, content)
    page.wait_for_selector('#error:not([hidden])')
    assert message in page.text_content('#error')
    keep_screenshot(page, 'error')
    upload(page, picture())
    wait_for_boxes(page)
    assert page.is_hidden('#error')


def test_a_format_that_the_browser_cannot_show_is_detected_in_all_the_same(page):
    upload(page, picture(suffix='.tiff', size=(240, 320)), 'photo.tiff', 'image/tiff')
    wait_for_boxes(page)
    assert 'cannot show this format' in page.text_content('#status')


def test_names_are_text(page, detector):
    hostile = '<img src=x onerror=alert(1)>'
    detector.classes = [hostile, hostile]
    upload(page, picture(size=(240, 320)), f'{hostile}.png')
    wait_for_boxes(page)
    assert rows(page) == [hostile, hostile]
    assert page.locator('img').count() == 1


def test_users_queue(page, browser, server, detector):
    detector.go.clear()
    other = browser.new_page()
    other.goto(page.url)
    upload(other, picture(size=(240, 320)))
    wait_until(lambda: server('/health').data['waiting'] == 1)
    upload(page, picture(size=(240, 320)))
    wait_for_text(page, '#status', 'busy')
    detector.go.set()
    for each in (page, other):
        wait_for_boxes(each)
    other.close()


def test_frames_of_the_webcam(page):
    page.click('#webcam')
    wait_for_text(page, '#status', r'^([3-9]|\d\d+) frames')
    keep_screenshot(page, 'webcam')
    page.click('#webcam')
    assert page.text_content('#status') == 'The webcam is off.'
    assert page.evaluate("document.querySelector('#video').srcObject") is None


def test_frames_of_a_video(page, tmp_path):
    av = pytest.importorskip('av')
    with av.open(str(tmp_path / 'clip.webm'), 'w') as file:
        stream = file.add_stream('libvpx', rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        image = np.full((240, 320, 3), (255, 0, 0), np.uint8)
        for _ in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
        file.mux(stream.encode())
    upload(page, (tmp_path / 'clip.webm').read_bytes(), 'clip.webm', 'video/webm')
    wait_for_text(page, '#status', r'^([3-9]|\d\d+) frames')
    keep_screenshot(page, 'video')
    data = json.loads(downloaded(page, '#json'))
    times = [frame['time'] for frame in data['frames']]
    assert len(times) >= 3
    assert times[1] != times[0]
    first = data['frames'][0]
    assert (first['width'], first['height'], first['names']) == (320, 240, ['cat', 'Straße'])


def test_a_video_that_the_browser_cannot_play_is_said(page):
    upload(page, b'no video', 'clip.mp4', 'video/mp4')
    page.wait_for_selector('#error:not([hidden])')
    assert 'cannot play clip.mp4: convert it' in page.text_content('#error')
