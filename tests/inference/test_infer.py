"""``tools/infer.py``: what it writes, what it says, how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import Detector
from lighthead.commands import infer
from lighthead.errors import UserError
from lighthead.inference.video import VideoReader, VideoWriter

from ..command_line import parse

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'infer.py'


@pytest.fixture
def run(checkpoint, tmp_path):
    """Run the command in this process and return (exit code, out dir, predictions)."""

    def run(*inputs, **options):
        options = {
            'device': 'cpu',
            'pred_score_thr': 0.1,
            'out_dir': str(tmp_path / 'out'),
        } | options
        code = infer.main(parse('infer', checkpoint, *inputs, **options))
        out = Path(options['out_dir'])
        path = out / 'predictions.json'
        return code, out, json.loads(path.read_text()) if path.exists() else None

    return run


def test_drawings_and_one_json(run, checkpoint, pictures):
    code, out, predictions = run(*pictures)
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *('job.json', 'predictions.json', 'predictions.jsonl', 'vis')
    ]
    assert sorted(path.name for path in (out / 'vis').iterdir()) == [p.name for p in pictures]
    assert [image['file_name'] for image in predictions['images']] == [str(p) for p in pictures]
    assert [(i['height'], i['width']) for i in predictions['images']][:2] == [(96, 120), (200, 150)]
    assert predictions['categories'] == [
        dict(id=3, name='cat'),
        dict(id=7, name='dog'),
        dict(id=20, name='Straßenbahn'),
    ]
    detector = Detector(checkpoint, device='cpu', score_thr=0.1)
    for image, path in zip(predictions['images'], pictures, strict=True):
        found = detector(path)
        annotations = [a for a in predictions['annotations'] if a['image_id'] == image['id']]
        assert len(annotations) == len(found) > 0
        x1, y1, x2, y2 = found.boxes[0].astype(float)
        assert annotations[0]['bbox'] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=2e-3)
        assert annotations[0]['score'] == pytest.approx(found.scores[0], abs=1e-5)
        drawn = cv2.imread(str(out / 'vis' / image['drawing']))
        assert drawn.shape == (image['height'], image['width'], 3)
        assert (drawn != cv2.imread(str(path))).any()


def test_batches_write_the_same(run, pictures, tmp_path):
    _, _, one = run(*pictures)
    _, _, many = run(*pictures, batch_size=3, out_dir=str(tmp_path / 'many'))
    assert one['images'] == many['images']
    assert len(one['annotations']) == len(many['annotations'])
    for first, second in zip(one['annotations'], many['annotations'], strict=True):
        assert first['bbox'] == pytest.approx(second['bbox'], abs=0.01)


def test_the_rest_goes_on(run, pictures, tmp_path, capsys):
    broken = tmp_path / 'broken.jpg'
    broken.write_text('no picture')
    gone = tmp_path / 'gone.png'
    code, out, predictions = run(pictures[0], broken, gone, pictures[1])
    assert code == 2
    assert [i['file_name'] for i in predictions['images']] == [str(p) for p in pictures[:2]]
    assert len(list((out / 'vis').iterdir())) == 2
    captured = capsys.readouterr()
    assert 'broken.jpg: cannot be read as an image' in captured.err
    assert 'gone.png: no such file' in captured.err
    assert '2 inputs could not be read' in captured.out


def test_names_are_never_shared_and_inputs_never_overwritten(run, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    paths = [tmp_path / name for name in ('a/x.png', 'b/x.png', 'a/x_2.png', 'out/vis/x_3.png')]
    paths += [tmp_path / 'a' / 'y.tif', tmp_path / 'a' / 'y.jpg', tmp_path / 'a' / 'X.png']
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    before = [path.read_bytes() for path in paths]
    code, out, predictions = run(*paths)
    assert code == 0
    names = [image['drawing'] for image in predictions['images']]
    assert names[:3] == ['x.png', 'x_2.png', 'x_2_2.png']
    assert names[4:6] == ['y.jpg', 'y_2.jpg']
    assert len({name.lower() for name in names}) == len(names)
    assert all((out / 'vis' / name).exists() for name in names)
    assert [path.read_bytes() for path in paths] == before


def test_nothing_is_written_where_nothing_is_wanted(run, pictures, tmp_path, capsys):
    code, out, _ = run(pictures[0], no_save_vis=True, no_save_pred=True, print_result=True)
    assert code == 0
    assert not out.exists()
    printed = capsys.readouterr().out
    assert f'{pictures[0]}: ' in printed
    assert any(line.startswith('  ') and '[' in line for line in printed.splitlines())
    _, out, predictions = run(pictures[0], no_save_vis=True)
    assert sorted(path.name for path in out.iterdir()) == [
        *('job.json', 'predictions.json', 'predictions.jsonl')
    ]
    assert 'drawing' not in predictions['images'][0]


@pytest.mark.parametrize('batch_size', [1, 3])
def test_video(run, tmp_path, pictures, batch_size):
    clip = tmp_path / 'clip.avi'
    with VideoWriter(clip, 10, (96, 120)) as writer:
        for _ in range(4):
            writer.write(cv2.imread(str(pictures[0])))
    code, out, predictions = run(pictures[1], clip, batch_size=batch_size)
    assert code == 0
    frames = predictions['images'][1:]
    assert [frame['frame'] for frame in frames] == [0, 1, 2, 3]
    assert [frame['time'] for frame in frames] == [0, 0.1, 0.2, 0.3]
    assert {frame['file_name'] for frame in frames} == {str(clip)}
    with VideoReader(out / 'vis' / 'clip.avi') as reader:
        assert reader.fps == pytest.approx(10)
        drawn = next(reader.batches(10))
    assert [frame.shape for frame in drawn] == [(96, 120, 3)] * 4


def test_unreadable_video(run, tmp_path, pictures, capsys):
    (tmp_path / 'clip.mp4').write_bytes(b'no video')
    code, _, predictions = run(tmp_path / 'clip.mp4', pictures[0])
    assert code == 2
    assert len(predictions['images']) == 1
    assert 'clip.mp4: OpenCV cannot read a frame' in capsys.readouterr().err


def test_no_display(run, pictures, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    with pytest.raises(UserError, match='--show needs a display'):
        run(pictures[0], show=True)


def test_out_dir_that_is_a_file(run, pictures, tmp_path):
    (tmp_path / 'out').write_text('')
    with pytest.raises(UserError, match='--out-dir'):
        run(pictures[0])


def _tool(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_command_line(checkpoint, pictures, tmp_path):
    """As a user calls it: from another folder, with a broken file among the inputs."""
    (tmp_path / 'broken.jpg').write_text('no picture')
    out = tmp_path / 'out'
    done = _tool(
        *(checkpoint, pictures[0], tmp_path / 'broken.jpg', '--out-dir', out, '--device', 'cpu'),
        *('--pred-score-thr', '0.1', '--print-result'),
    )
    assert done.returncode == 2, done.stderr
    assert 'broken.jpg' in done.stderr
    assert 'Traceback' not in done.stderr
    assert json.loads((out / 'predictions.json').read_text())['annotations']
    assert (out / 'vis' / pictures[0].name).exists()


def test_mistakes_end_in_an_error_message(checkpoint):
    done = _tool(checkpoint, 'nothing_here.jpg')
    assert done.returncode == 2
    assert 'No image or video found in nothing_here.jpg' in done.stderr
    assert 'Traceback' not in done.stderr
