"""What a training prints, draws and leaves in its log."""

import json
import logging.config
import time
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from PIL import Image

from lighthead.engine.console import ConsoleHook
from lighthead.engine.curves import read_curves

LOCAL = [dict(type='LocalVisBackend')]


def quiet_run(toy, work_dir: Path, **options):
    cfg = toy.make_cfg(work_dir=work_dir, **options)
    cfg.log_level, cfg.visualizer.vis_backends = 'INFO', LOCAL
    runner = toy.RUNNERS.build(cfg)
    runner.train()
    return runner


def test_a_training_prints_few_lines(toy, tmp_path: Path, capfd) -> None:
    """11 iterations per epoch, a line every 5; all details are in the log file."""
    runner = quiet_run(toy, tmp_path, epochs=2)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * (2 + 1) + 2, lines
    assert lines[0].startswith(
        'Training on 42 images, validating on 42; 4 per step, 22 iterations. Log: '
    )
    assert lines[1].startswith('epoch 1/2  5/11  loss ')
    assert '(cls 0.' in lines[1]
    assert 'eta 0:0' in lines[1]
    assert lines[3].startswith('validation after epoch 1:  accuracy 0.')
    best = runner.message_hub.get_info('best_checkpoint')
    assert lines[-2].startswith('Trained to epoch 2 (22 iterations) in 0:0')
    assert f'Best accuracy: {best["score"]:.3f} after epoch {best["epoch"]}' in lines[-1]
    assert lines[-1].endswith(f'{tmp_path}/best.pth')
    log = Path(runner.logger.log_file).read_text()
    assert 'Saved epoch_2.pth' in log
    assert 'System environment' in log
    assert 'Epoch(train)' in log


def test_logging_set_up_by_others_does_not_end_the_log(toy, tmp_path: Path) -> None:
    """As a server or a tracker of the same process does; models built later log there too."""
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.log_level, cfg.visualizer.vis_backends = 'INFO', LOCAL
    runner = toy.RUNNERS.build(cfg)
    logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False})
    MODELS.build(cfg.model).init_weights()
    runner.logger.info('after the others')
    assert 'after the others' in Path(runner.logger.log_file).read_text()


def test_a_terminal_has_one_progress_line(toy, tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.setattr('sys.stdout.isatty', lambda: True, raising=False)
    monkeypatch.setattr('lighthead.engine.console.REWRITE_SECONDS', 0)
    quiet_run(toy, tmp_path, epochs=1)
    lines = capfd.readouterr().out.split('\n')
    assert lines[1].count('\r') == 22, 'eleven iterations of training and of validation'
    assert len(lines) == 1 + 1 + 1 + 2 + 1


def test_a_test_prints_mmengines_messages(toy, tmp_path: Path, capfd) -> None:
    quiet_run(toy, tmp_path / 'run', epochs=1)
    cfg = toy.make_cfg(work_dir=tmp_path / 'val')
    cfg.log_level, cfg.load_from = 'INFO', str(tmp_path / 'run/best.pth')
    runner = toy.RUNNERS.build(cfg)
    capfd.readouterr()
    runner.val()
    assert 'toy/accuracy: ' in capfd.readouterr().out


def test_curves_of_a_resumed_run_are_one(toy, tmp_path: Path) -> None:
    quiet_run(toy, tmp_path, epochs=1)
    time.sleep(1)  # mmengine names a run's folder by the second
    quiet_run(toy, tmp_path, epochs=2, resume=True)
    training, validation = read_curves(tmp_path)
    assert sorted(training['loss']) == [5, 10, 16, 21]
    assert sorted(validation['toy/accuracy']) == [1, 2]
    with Image.open(tmp_path / 'results.png') as picture:
        assert picture.size == (1500, 450)


def test_curves_take_the_newest_value_and_pass_over_half_a_line(tmp_path: Path) -> None:
    for run, loss in (('20260101_000000', 3.0), ('20260102_000000', 2.0)):
        folder = tmp_path / run / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=loss, iter=5, step=5, time=1.0)), '{"loss": 1.0, "it']
        (folder / 'scalars.json').write_text('\n'.join(lines))
    training, validation = read_curves(tmp_path)
    assert training == {'loss': {5: 2.0}}
    assert not validation


@pytest.mark.parametrize('terminal', [True, False])
def test_other_output_starts_on_its_own_line(terminal: bool, capfd, monkeypatch) -> None:
    monkeypatch.setattr('sys.stdout.isatty', lambda: terminal, raising=False)
    hook = ConsoleHook()
    hook._progress('epoch 1')
    hook.end_line()
    hook.end_line()
    assert capfd.readouterr().out.count('\n') == 1
