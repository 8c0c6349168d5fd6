"""Full disks and folders that cannot be written: an error message, and nothing is lost."""

import contextlib
import errno
from pathlib import Path

import pytest
import torch
from mmengine.visualization import LocalVisBackend

from lighthead.errors import UserError


@pytest.mark.parametrize('where', ['/proc/no_such_folder', 'a_file/run'])
def test_a_work_dir_that_cannot_be_written(toy, tmp_path: Path, where: str) -> None:
    (tmp_path / 'a_file').touch()
    with pytest.raises(UserError, match='cannot be written'):
        toy.train(work_dir=tmp_path / where, epochs=1)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, 'No space left on device', 'scalars.json')


def test_no_room_for_the_curves(toy, tmp_path: Path, monkeypatch) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.default_hooks.logger.interval = 7
    monkeypatch.setattr(LocalVisBackend, 'add_scalars', full)
    with pytest.raises(UserError, match=r'scalars\.json could not .*No space.*iter_6\.pth.*resume'):
        toy.RUNNERS.build(cfg).train()
    assert torch.load(tmp_path / 'iter_6.pth', weights_only=True)['meta']['iter'] == 6


def test_no_room_for_the_log(toy, tmp_path: Path) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.log_level = 'INFO'
    runner = toy.RUNNERS.build(cfg)
    handler = next(h for h in runner.logger.handlers if getattr(h, 'baseFilename', None))
    handler.stream.close()
    handler.stream = open('/dev/full', 'w')  # noqa: SIM115 (closing it fails, too)
    with pytest.raises(UserError, match='No space left on device'):
        runner.train()
    with contextlib.suppress(OSError):
        handler.stream.close()
    runner.logger.handlers.remove(handler)


def test_other_errors_keep_their_traceback(toy, tmp_path: Path, monkeypatch) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(LocalVisBackend, 'add_scalars', broken)
    with pytest.raises(OSError, match='Input/output'):
        toy.RUNNERS.build(cfg).train()
