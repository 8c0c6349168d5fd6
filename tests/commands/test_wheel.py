"""The wheel works without the checkout: configs by name, the command, a short training."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | variables
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder is left in the checkout."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    for name in ('lighthead', 'configs'):
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith('.'):
            shutil.copy(path, source)
    pip = (sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation')
    run(*pip, '--wheel-dir', folder, source, cwd=folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; the libraries are those that these tests run with."""
    folder = tmp_path_factory.mktemp('environment')
    run(sys.executable, '-m', 'venv', folder, cwd=folder)
    python = folder / 'bin/python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', wheel, cwd=folder)
    packages = next((folder / 'lib').glob('python*/site-packages'))
    # After the wheel's own folder, and without the .pth files of an editable install.
    (packages / 'libraries.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return folder / 'bin'


def test_every_config_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith('lighthead/configs/')}
    expected = {f'lighthead/{path.relative_to(ROOT)}' for path in (ROOT / 'configs').rglob('*.py')}
    assert names == expected


def test_training_and_inference(environment: Path, tmp_path: Path) -> None:
    where = run(
        environment / 'python', '-c', 'import lighthead; print(lighthead.__file__)', cwd=tmp_path
    )
    assert str(environment.parent) in where.stdout
    command = environment / 'lighthead'
    run(
        *(command, 'train', 'lighthead_shufflev2star_demo', '--data-root', ROOT / 'data/demo'),
        *('--from-scratch', '--epochs', '1', '--batch-size', '2', '--workers', '0'),
        *('--img-scale', '128', '96', '--work-dir', 'run', '--cfg-options'),
        *('train_dataloader.dataset.indices=4', 'val_dataloader.dataset.indices=2'),
        cwd=tmp_path,
    )
    pictures = ROOT / 'data/demo/val'
    run(command, 'infer', 'run/epoch_1.pth', pictures, '--pred-score-thr', '0', cwd=tmp_path)
    assert (tmp_path / 'outputs/predictions.json').is_file()
    assert 'lighthead' in run(command, 'info', cwd=tmp_path).stdout
