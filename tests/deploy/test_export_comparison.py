"""What ``lighthead export`` compares before a file is kept, with a stand-in for the file."""

from pathlib import Path

import pytest
import torch

from lighthead.commands import export_job
from lighthead.commands.export_job import check_against_torch, load_for_export
from lighthead.deploy.check_export import require_agreement
from lighthead.deploy.compare_detections import Agreement
from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.errors import UserError

from ..command_line import parse


@pytest.fixture
def loaded(checkpoint, monkeypatch):
    """``loaded(score_thr)``: a model and its metadata; every "file" is the model itself."""
    models = {}

    def write(model, meta, name, folder: Path) -> Path:
        models[path := folder / 'model'] = model
        return path

    def open_model(path, trust):
        module = exportable_detector(models[path])

        @torch.inference_mode()
        def run(images, sizes):
            *arrays, num = module(images, torch.tensor(sizes, dtype=torch.float32))[:4]
            return [[a[index, :count] for a in arrays] for index, count in enumerate(num)]

        return run, None

    monkeypatch.setattr(export_job, 'write_export', write)
    monkeypatch.setattr(export_job, 'open_exported', open_model)

    def load(score_thr):
        return load_for_export(parse('export', checkpoint, out='x.onnx', score_thr=score_thr))

    return load


def check(loaded, score_thr: float, tmp_path: Path, spoil=None) -> None:
    model, meta = loaded(score_thr)
    if spoil is not None:
        spoil(model)
    written = export_job.write_export(model, meta, 'onnx', tmp_path)
    check_against_torch(written, model, meta, 'onnx')


def test_enough_detections(loaded, tmp_path, capsys):
    check(loaded, 0.05, tmp_path)
    printed = capsys.readouterr().out
    assert 'without thresholds' not in printed
    assert int(printed.splitlines()[-1].split()[0]) >= export_job.ENOUGH


def test_too_few_detections_are_compared_without_thresholds(loaded, tmp_path, capsys):
    check(loaded, 0.999, tmp_path)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith('only 0 detections lie above the thresholds: comparing a copy')
    assert int(last.split()[0]) >= export_job.ENOUGH


def test_nothing_to_compare_is_an_error(loaded, tmp_path):
    def spoil(model):
        torch.nn.init.constant_(model.roi_head.bbox_head.fc_cls.bias, torch.nan)

    with pytest.raises(UserError, match='finds nothing at all, even without thresholds'):
        check(loaded, 0.05, tmp_path, spoil)


def test_another_answer_is_an_error(loaded, tmp_path, monkeypatch):
    opened = export_job.open_exported

    def other(path, trust):
        run, meta = opened(path, trust)
        moved = lambda images, sizes: [[b + 1, s, n] for b, s, n in run(images, sizes)]  # noqa: E731
        return moved, meta

    monkeypatch.setattr(export_job, 'open_exported', other)
    with pytest.raises(UserError, match='does not agree with torch on one image: 0 of'):
        check(loaded, 0.05, tmp_path)


@pytest.mark.parametrize(
    ('agreement', 'ok'),
    [
        (Agreement(total=300, matched=300), True),
        (Agreement(total=300, matched=297, explained=6), True),
        (Agreement(total=300, matched=297, explained=5, unexplained=['x']), False),
        (Agreement(total=300, matched=200, explained=200), False),
    ],
)
def test_rounding_explains_a_tenth_at_most(agreement, ok):
    if ok:
        require_agreement({'case': agreement}, 'The file')
    else:
        with pytest.raises(UserError, match='does not agree'):
            require_agreement({'case': agreement}, 'The file')


@pytest.mark.parametrize('failing', ['xml', 'bin'])
def test_two_files_are_never_of_two_exports(tmp_path, monkeypatch, failing):
    """A process that is killed between them leaves a whole export or none."""
    new, out = tmp_path / 'new.xml', tmp_path / 'out.xml'
    for path, text in ((new, 'new'), (out, 'old')):
        path.write_text(text)
        path.with_suffix('.bin').write_text(text)
    replace = export_job.put_in_place

    def killed(old, place):
        if place.suffix == f'.{failing}':
            raise KeyboardInterrupt
        replace(old, place)

    monkeypatch.setattr(export_job, 'put_in_place', killed)
    with pytest.raises(KeyboardInterrupt):
        export_job._move(new, out)
    assert not out.exists()
    monkeypatch.undo()
    new.with_suffix('.bin').write_text('new')
    export_job._move(new, out)
    assert out.read_text() == out.with_suffix('.bin').read_text() == 'new'
