"""The code blocks of the pages run as they are written, page by page, as a newcomer has them.

A page's blocks run in one new folder, in their order. It holds what their names promise: photos,
a data set ``DIR``, a checkpoint of random weights in place of a trained one.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from ..small_detector import small_config, write_checkpoint
from .code_blocks import BASH, NOT_RUN, PAGES, ROOT, SHORTENED, Block, blocks_of

DEMO = ROOT / 'data' / 'demo'
WITH_CODE = [page for page in PAGES if any(block.runs for block in blocks_of(page))]
SECONDS = 900
"""That a block may take on a busy machine; a quiet one needs a tenth."""


def write_data(root: Path, counts: dict[str, int]) -> dict:
    """A few images of the demo, in COCO layout; the last split's content."""
    (root / 'annotations').mkdir(parents=True)
    for split, count in counts.items():
        name = f'annotations/instances_{split}.json'
        content = json.loads((DEMO / name).read_text())
        content['images'] = content['images'][:count]
        kept = {image['id'] for image in content['images']}
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]
        (root / name).write_text(json.dumps(content))
        (root / split).mkdir()
        for image in content['images']:
            shutil.copy(DEMO / split / image['file_name'], root / split)
    return content


def write_clip(path: Path, image: Path) -> None:
    """A video of four frames."""
    frame = cv2.resize(cv2.imread(str(image)), (128, 96))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 5.0, (128, 96))
    for _ in range(4):
        writer.write(frame)
    writer.release()


def write_detector(path: Path, categories: list[dict]) -> None:
    """A checkpoint with random weights, of a detector with these classes."""
    cfg = small_config(proposals=(100, 50))
    cfg.model.roi_head.bbox_head.num_classes = len(categories)
    path.parent.mkdir(parents=True, exist_ok=True)
    names, ids = [c['name'] for c in categories], [c['id'] for c in categories]
    write_checkpoint(cfg, path, names, ids)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted: a checkout, photos, data, checkpoints."""
    folder = tmp_path_factory.mktemp('newcomer')
    for name in ('tools', 'configs', 'docs', 'benchmarks', 'data'):
        (folder / name).symlink_to(ROOT / name)
    content = write_data(folder / 'DIR', {'train': 8, 'val': 4})
    write_data(folder / 'NO_VAL', {'train': 8})
    photo = folder / 'DIR' / 'val' / content['images'][0]['file_name']
    for name in ('photo.jpg', 'folder/a.jpg', 'photos/a.jpg', 'more/2024/b.jpg'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / name)
    write_clip(folder / 'clip.mp4', photo)
    aerial = cv2.resize(cv2.imread(str(photo)), (900, 700))
    cv2.imwrite(str(folder / 'aerial.tif'), aerial)
    for name in ('work_dirs/demo/best.pth', 'work_dirs/mine/best.pth', 'CHECKPOINT'):
        write_detector(folder / name, content['categories'])
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one page, the current folder."""
    shutil.copytree(prepared, tmp_path / 'page', symlinks=True)
    monkeypatch.chdir(tmp_path / 'page')
    return tmp_path / 'page'


def run_bash(block: Block) -> None:
    """Run the lines in bash; the first that fails ends it."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', block.shortened],
        env=os.environ | {'PATH': path, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f'line {block.line}: {done.stderr[-3000:] or done.stdout[-3000:]}'


def run_python(block: Block) -> None:
    """Run the lines in this process, which has imported torch already."""
    exec(compile(block.shortened, f'line {block.line}', 'exec'), {'__name__': '__main__'})


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize('page', WITH_CODE, ids=[str(p.relative_to(ROOT)) for p in WITH_CODE])
def test_blocks_run_as_written(page: Path, folder: Path) -> None:
    for block in blocks_of(page):
        if block.runs:
            run: Callable[[Block], None] = run_bash if block.language in BASH else run_python
            run(block)


@pytest.mark.parametrize('page', PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_blocks_that_do_not_run_say_why(page: Path) -> None:
    for block in blocks_of(page):
        if block.comment:
            assert block.shortened, 'parts that are replaced must be there'
            assert block.comment.startswith((NOT_RUN, SHORTENED)), f'line {block.line}'
            assert len(block.comment) > len(NOT_RUN) + 10, f'line {block.line}: no reason'
    lines = page.read_text(encoding='utf-8').splitlines()
    comments = [line for line in lines if line.startswith(f'<!-- {NOT_RUN}')]
    assert len(comments) == sum(block.comment.startswith(NOT_RUN) for block in blocks_of(page))
