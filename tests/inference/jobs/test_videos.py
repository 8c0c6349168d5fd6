"""Videos and streams of a run: every frame once, endings, tracks, dropped and failed frames."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.run import infer
from lighthead.inference.video import VideoReader, VideoWriter

from .fake_detector import use_fake_detector, write_images
from .test_run import records, stop_after

COUNT = 20
SCRIPT = Path(__file__).with_name('fake_detector.py')


@pytest.fixture
def backend(monkeypatch):
    return use_fake_detector(monkeypatch.setattr)


@pytest.fixture
def clip(tmp_path) -> Path:
    """Frames that get brighter."""
    path = tmp_path / 'clip.avi'
    with VideoWriter(path, 10, (96, 120)) as writer:
        for index in range(COUNT):
            writer.write(np.full((96, 120, 3), 20 + 10 * index, np.uint8))
    return path


@pytest.fixture
def run(backend, tmp_path):
    (tmp_path / 'model.onnx').write_bytes(b'model')

    def run(*inputs, **options):
        options = dict(out_dir=str(tmp_path / 'out')) | options
        return infer(InferOptions(str(tmp_path / 'model.onnx'), list(map(str, inputs)), **options))

    return run


def frames_of(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return list(reader.frames())


@pytest.mark.parametrize('batch_size', [1, 3])
@pytest.mark.parametrize('save', [True, False])
def test_every_frame_once(run, clip, tmp_path, batch_size, save):
    assert run(clip, batch_size=batch_size, no_save_vis=not save) == 0
    *frames, end = records(tmp_path / 'out')
    assert [frame['frame'] for frame in frames] == list(range(COUNT))
    assert [frame['time'] for frame in frames] == [index / 10 for index in range(COUNT)]
    scores = [frame['scores'][0] for frame in frames]
    assert scores == sorted(scores)
    assert len(set(scores)) == COUNT
    assert {key: end[key] for key in ('path', 'frames', 'failed_frames')} == dict(
        path=str(clip), frames=COUNT, failed_frames=0
    )
    if save:
        drawn = frames_of(tmp_path / 'out' / 'vis' / 'clip.avi')
        assert len(drawn) == COUNT
        means = [frame.mean() for frame in drawn]
        assert means == sorted(means)


def test_interrupted_videos_play_and_are_done_again(run, backend, clip, tmp_path):
    images = write_images(tmp_path / 'in', 2)
    run(*images, clip, out_dir=str(tmp_path / 'whole'))
    stop_after(backend, 9, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run(*images, clip) == 130
    done = records(tmp_path / 'out')
    assert 2 < len(done) < 2 + COUNT
    drawn = frames_of(tmp_path / 'out' / 'vis' / 'clip.avi')
    assert len(done) - 2 <= len(drawn) < COUNT
    backend.before_batch, backend.images = lambda: None, 0
    assert run(*images, clip, resume=True) == 0
    assert backend.images == COUNT
    assert records(tmp_path / 'out') == records(tmp_path / 'whole')
    assert len(frames_of(tmp_path / 'out' / 'vis' / 'clip.avi')) == COUNT
    assert not [name for name in os.listdir(tmp_path / 'out' / 'vis') if name.startswith('.')]


def test_live_drops_frames(run, backend, clip, tmp_path):
    backend.seconds = 0.02
    assert run(clip, live=True) == 0
    *frames, end = records(tmp_path / 'out')
    assert end['frames'] == len(frames)
    assert end['frames'] + end['dropped_frames'] == COUNT
    assert end['dropped_frames'] > 0
    times = [frame['time'] for frame in frames]
    assert times == sorted(times)


def test_tracks(run, clip, tmp_path):
    assert run(clip, track=True, format='coco,csv', batch_size=4) == 0
    frames = records(tmp_path / 'out')[:-1]
    last = frames[-1]['track_ids']
    assert len(last) == len(set(last)) == 2
    assert -1 not in last
    assert [frame['track_ids'] for frame in frames[5:]] == [last] * (COUNT - 5)
    coco = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert {a['track_id'] for a in coco['annotations']} == {-1, *last}


class FlakyCapture:
    """A video whose third frame cannot be decoded."""

    def __init__(self, *_) -> None:
        self.position = 0

    def grab(self) -> bool:
        self.position += 1
        return self.position <= 6

    def retrieve(self):
        ok = self.position != 3
        return ok, np.full((96, 120, 3), 30 * self.position, np.uint8) if ok else None

    def read(self):
        return (self.grab(), self.retrieve()[1])

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FPS: 5.0, cv2.CAP_PROP_FRAME_COUNT: 0.0}[key]

    def release(self) -> None:
        pass


def test_frames_that_fail_are_counted(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cv2, 'VideoCapture', FlakyCapture)
    assert run('rtsp://camera/stream', '0', no_save_vis=True) == 0
    *frames, end = records(tmp_path / 'out')[:6]
    assert [frame['frame'] for frame in frames] == list(range(5))
    assert end == dict(path='rtsp://camera/stream', frames=5, failed_frames=1)
    assert records(tmp_path / 'out')[-1]['path'] == '0'
    assert '1 frames could not be decoded' in capsys.readouterr().err


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_images_from_a_pipe(tmp_path, suffix):
    shades = [np.full((96, 120, 3), 20 * index, np.uint8) for index in range(6)]
    content = b''.join(cv2.imencode(suffix, shade)[1].tobytes() for shade in shades)
    line = [sys.executable, SCRIPT, tmp_path / 'out', '0', '-']
    done = subprocess.run(list(map(str, line)), input=content, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    *frames, end = records(tmp_path / 'out')
    scores = [frame['scores'][0] for frame in frames]
    assert len(scores) == end['frames'] == 6
    assert scores == sorted(scores)
    assert len(frames_of(tmp_path / 'out' / 'vis' / 'stdin.mp4')) == 6


def test_a_stream_that_does_not_answer(run, tmp_path, capsys):
    assert run('http://127.0.0.1:9/none.mjpg', no_save_vis=True) == 2
    assert 'OpenCV cannot read a frame' in capsys.readouterr().err


def test_non_utf8_video_names(run, clip, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b'/\xff.avi')
    clip.rename(odd)
    assert run(odd) == 0
    assert len(records(tmp_path / 'out')) == COUNT + 1
    assert os.fsencode(records(tmp_path / 'out')[0]['path']) == os.fsencode(odd)
    assert len(list((tmp_path / 'out' / 'vis').iterdir())) == 1
