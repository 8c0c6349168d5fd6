"""A run of ``infer``: what it writes, how it ends, and what it never does."""

import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead.errors import UserError
from lighthead.inference.images import read_image
from lighthead.inference.jobs import progress
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.progress import progress_line
from lighthead.inference.jobs.run import infer

from .fake_detector import CLASSES, use_fake_detector, write_images


@pytest.fixture
def backend(monkeypatch):
    return use_fake_detector(monkeypatch.setattr)


@pytest.fixture
def images(tmp_path) -> list[Path]:
    return write_images(tmp_path / 'in', 12)


@pytest.fixture
def run(backend, tmp_path):
    """``run(*inputs, **options)``: the exit code."""
    (tmp_path / 'model.onnx').write_bytes(b'model')

    def run(*inputs, **options):
        options = dict(out_dir=str(tmp_path / 'out')) | options
        return infer(InferOptions(str(tmp_path / 'model.onnx'), list(map(str, inputs)), **options))

    return run


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / 'predictions.jsonl').read_bytes().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


@pytest.mark.parametrize('batch_size', [1, 3])
@pytest.mark.parametrize('workers', [0, 1, 4])
def test_results_in_the_order_of_the_inputs(run, images, tmp_path, batch_size, workers):
    assert run(*images, batch_size=batch_size, workers=workers) == 0
    lines = records(tmp_path / 'out')
    assert [line['path'] for line in lines] == [path.as_posix() for path in images]
    assert len({line['scores'][0] for line in lines}) == len(images)
    for line, path in zip(lines, images, strict=True):
        assert (line['height'], line['width']) == cv2.imread(str(path)).shape[:2]
        assert line['names'] == CLASSES[:2]
        drawn = cv2.imread(str(tmp_path / 'out' / 'vis' / line['drawing']))
        assert (drawn != cv2.imread(str(path))).any()
    coco = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert [image['id'] for image in coco['images']] == list(range(1, 13))
    assert len(coco['annotations']) == 24


@pytest.mark.parametrize(
    ('options', 'names', 'count'),
    [
        (dict(pred_score_thr=0.1), CLASSES, 3),
        (dict(classes=['dog']), ['dog'], 1),
        (dict(class_agnostic=True), ['cat'], 1),
        (dict(pred_score_thr=0.9), [], 0),
    ],
)
def test_which_detections(run, images, tmp_path, capsys, options, names, count):
    assert run(*images[:2], **options) == 0
    assert [line['names'] for line in records(tmp_path / 'out')] == [names] * 2
    said = capsys.readouterr().out
    assert (f'{2 * count} detections in 2 images' in said) == (count > 0)
    assert ('0 detections (the best score was 0.6' in said) == (count == 0)


def test_what_cannot_be_read_is_one_line_each(run, images, tmp_path, capsys):
    """Pipes and devices are refused before they are read; the rest goes on."""
    os.mkfifo(tmp_path / 'pipe.jpg')
    (tmp_path / 'broken.jpg').write_text('no image')
    bad = [tmp_path / 'pipe.jpg', '/dev/zero', tmp_path / 'broken.jpg', tmp_path / 'gone.jpg']
    assert run(images[0], *bad, 'n' * 300, images[1]) == 2
    assert [line['path'] for line in records(tmp_path / 'out')] == list(map(str, images[:2]))
    errors = (tmp_path / 'out' / 'errors.jsonl').read_text().splitlines()
    errors = {line['path']: line['error'] for line in map(json.loads, errors)}
    assert sorted(errors) == sorted([*map(str, bad), 'n' * 300])
    assert 'folder, pipe or device' in errors[str(bad[0])]
    assert 'folder, pipe or device' in errors['/dev/zero']
    assert '5 inputs could not be read' in capsys.readouterr().out
    assert run(*images[:2]) == 0
    assert not (tmp_path / 'out' / 'errors.jsonl').exists()


def test_odd_names(run, images, tmp_path, capsys):
    """Bytes that are no UTF-8, names as long as they can be, line breaks."""
    content = images[0].read_bytes()
    odd = [b'\xff\xfe.png', b'n' * 251 + b'.png', 'ß'.encode() * 125 + b'.tif', b'a\n"b.png']
    odd = [os.fsencode(tmp_path) + b'/' + name for name in odd]
    for name in odd:
        Path(os.fsdecode(name)).write_bytes(content)
    assert run(*map(os.fsdecode, odd), format='coco,json,csv,yolo', print_result=True) == 0
    lines = records(tmp_path / 'out')
    assert [os.fsencode(line['path']) for line in lines] == odd
    assert all((tmp_path / 'out' / 'vis' / line['drawing']).exists() for line in lines)
    coco = json.loads((tmp_path / 'out' / 'predictions.json').read_bytes().decode())
    assert [os.fsencode(image['file_name']) for image in coco['images']] == odd
    assert rf'{tmp_path}/\xff\xfe.png: 2 detections' in capsys.readouterr().out


@pytest.mark.parametrize('make_link', [os.symlink, os.link])
def test_links_among_the_outputs_are_never_written_through(run, images, tmp_path, make_link):
    before = [path.read_bytes() for path in images]
    out = tmp_path / 'out'
    (out / 'vis').mkdir(parents=True)
    make_link(images[1], out / 'vis' / images[0].name)
    for name in ('predictions.json', 'predictions.jsonl', 'job.json', 'errors.jsonl'):
        make_link(images[2], out / name)
    run(*images)
    assert [path.read_bytes() for path in images] == before
    drawings = [out / 'vis' / line['drawing'] for line in records(out)]
    written = [*drawings, *(out / name for name in ('predictions.json', 'predictions.jsonl'))]
    assert len(drawings) == len(images)
    assert all(path.is_file() and not path.is_symlink() for path in written)


def test_a_linked_journal_is_not_continued(run, images, tmp_path):
    run(*images[:2])
    os.link(tmp_path / 'out' / 'predictions.jsonl', tmp_path / 'other')
    with pytest.raises(UserError, match='is a link to another file'):
        run(*images, resume=True)


def stop_after(backend, batches: int, action) -> None:
    calls = iter(range(10**6))

    def before_batch() -> None:
        if next(calls) == batches:
            action()

    backend.before_batch = before_batch


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_with_what_is_done(run, backend, images, tmp_path, capsys, number):
    before = signal.getsignal(number)
    stop_after(backend, 3, lambda: os.kill(os.getpid(), number))
    assert run(*images) == 128 + number
    done = len(records(tmp_path / 'out'))
    assert 0 < done < len(images)
    coco = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(coco['images']) == done
    assert 'stopped early: --resume continues' in capsys.readouterr().out
    assert signal.getsignal(number) is before


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize('torn', [b'', b'{"path": "half'])
@pytest.mark.parametrize('batch_size', [1, 2])
def test_a_resumed_run_equals_one_in_a_go(run, backend, images, tmp_path, torn, batch_size):
    options = dict(batch_size=batch_size, format='coco,csv')
    run(*images, **options)
    whole = {name: (tmp_path / 'out' / name).read_bytes() for name in files(tmp_path / 'out')}
    other = dict(options, out_dir=str(tmp_path / 'resumed'))
    stop_after(backend, 4, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(*images, **other)
    journal = tmp_path / 'resumed' / 'predictions.jsonl'
    done = len(journal.read_bytes().splitlines())
    assert done < len(images)
    journal.write_bytes(journal.read_bytes() + torn)
    backend.before_batch, backend.images = lambda: None, 0
    assert run(*images, resume=True, **other) == 0
    assert backend.images == len(images) - done
    resumed = {name: (tmp_path / 'resumed' / name) for name in files(tmp_path / 'resumed')}
    assert {name: path.read_bytes() for name, path in resumed.items()} == whole


def test_resuming_a_finished_run_does_nothing(run, backend, images, tmp_path):
    run(*images)
    before = (tmp_path / 'out' / 'predictions.json').read_bytes()
    backend.images = 0
    assert run(*images, resume=True) == 0
    assert backend.images == 0
    assert (tmp_path / 'out' / 'predictions.json').read_bytes() == before


@pytest.mark.parametrize(
    ('options', 'key'),
    [
        (dict(pred_score_thr=0.2), 'score_thr was 0.3 and is 0.2'),
        (dict(classes=['cat']), 'only_classes'),
        (dict(class_agnostic=True), 'class_agnostic'),
    ],
)
def test_another_run_is_not_resumed(run, images, options, key):
    run(*images[:2])
    with pytest.raises(UserError, match=key):
        run(*images, resume=True, **options)


def test_another_model_is_not_resumed(run, images, tmp_path):
    run(*images[:2])
    (tmp_path / 'model.onnx').write_bytes(b'other')
    with pytest.raises(UserError, match='model_sha256'):
        run(*images, resume=True)


def test_a_new_run_keeps_what_an_interrupted_one_did(run, backend, images, tmp_path):
    stop_after(backend, 4, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(*images)
    done = records(tmp_path / 'out')
    run(*images[:1])
    kept = (tmp_path / 'out' / 'predictions.unfinished.jsonl').read_text().splitlines()
    assert [json.loads(line) for line in kept] == done
    assert len(records(tmp_path / 'out')) == 1


def test_two_runs_in_one_folder_are_refused(run, backend, images):
    refused = []

    def second() -> None:
        backend.before_batch = lambda: None
        with pytest.raises(UserError, match='Another run writes') as error:
            run(*images)
        refused.append(error)

    backend.before_batch = second
    assert run(*images) == 0
    assert len(refused) == 1


def test_a_full_disk_keeps_whole_lines(run, images, tmp_path, monkeypatch):
    write, room = os.write, [500]

    def limited(descriptor: int, data: bytes) -> int:
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, 'write', limited)
    with pytest.raises(UserError, match='continue with --resume'):
        run(*images)
    monkeypatch.undo()
    use_fake_detector(monkeypatch.setattr)
    done = len(records(tmp_path / 'out'))
    assert 0 < done < len(images)
    assert not list((tmp_path / 'out').rglob('.*'))
    assert run(*images, resume=True) == 0
    assert [line['path'] for line in records(tmp_path / 'out')] == list(map(str, images))


@pytest.mark.parametrize('batch_size', [1, 3])
def test_memory_holds_few_images(run, backend, images, monkeypatch, batch_size):
    """Images are read as they are needed, not all at first."""
    read, ahead = [0], []
    monkeypatch.setattr(
        'lighthead.inference.loading.read_image',
        lambda path: (read.__setitem__(0, read[0] + 1), read_image(path))[1],
    )
    backend.before_batch = lambda: ahead.append(read[0] - backend.images)
    run(*images, workers=2, batch_size=batch_size)
    assert sum(ahead) > 0
    waiting = 3 * (batch_size - 1)  # for others of their size, of which there are three
    assert max(ahead) <= waiting + 1 + batch_size + 2


@pytest.mark.parametrize(
    ('done', 'total', 'speed', 'line'),
    [
        (1200, 100_000, 20.0, '1,200 of 100,000 done, 20.0 images/s, 1:22:20 left'),
        (7, None, 5.25, '7 done, 5.2 images/s'),
        (0, 10, 0.0, '0 of 10 done, 0.0 images/s'),
    ],
)
def test_progress_lines(done, total, speed, line):
    assert progress_line(done, total, speed) == line


def test_progress_where_there_is_no_terminal(run, images, monkeypatch, capsys):
    monkeypatch.setattr(progress, 'LOG_SECONDS', 0)
    run(*images)
    assert '12 of 12 done' in capsys.readouterr().err


def test_options_that_do_not_fit(run, images):
    for options, message in [
        (dict(resume=True, no_save_pred=True), '--resume needs'),
        (dict(format='coco,xml'), "no format 'xml'"),
        (dict(classes=['dgo']), "no class 'dgo'; there are, for example, dog"),
    ]:
        with pytest.raises(UserError, match=message):
            run(*images, **options)


def test_float_scores_survive(run, images, tmp_path):
    run(images[0])
    line = records(tmp_path / 'out')[0]
    assert np.float32(line['scores'][1]) == pytest.approx(0.45, abs=1e-6)


def test_tiles_and_a_tiff_read_by_windows(run, backend, images, tmp_path, monkeypatch, capsys):
    pytest.importorskip('rasterio', reason='rasterio is not installed: the extra large')
    large = tmp_path / 'large.tif'
    cv2.imwrite(str(large), cv2.resize(cv2.imread(str(images[0])), (300, 200)))
    assert run(images[0], large, tile=100) == 0
    assert backend.images == (1 + 2) + (1 + 4 * 3), 'the whole, and its tiles'
    assert all('drawing' in line for line in records(tmp_path / 'out'))
    monkeypatch.setattr('lighthead.inference.large_images.LARGE_IMAGE', 50_000)
    assert run(images[0], large, tile=100) == 0
    lines = records(tmp_path / 'out')
    assert ['drawing' in line for line in lines] == [True, False]
    assert (lines[1]['width'], lines[1]['height']) == (300, 200)
    assert 'has no drawing' in capsys.readouterr().err
    with pytest.raises(UserError, match='tile was 100 and is None'):
        run(images[0], large, resume=True)
