"""What an environment lacks is named in one line, without a traceback."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lighthead.compat import install_check
from lighthead.errors import EXIT_USER, InstallError


def fake(name: str, version: str) -> ModuleType:
    module = ModuleType(name)
    module.__version__ = version
    return module


def test_the_tested_environment_passes_and_keeps_the_excepthook(monkeypatch):
    monkeypatch.setattr(sys, 'excepthook', sys.excepthook)
    before = sys.excepthook
    install_check.check_install()
    assert sys.excepthook is before


@pytest.mark.parametrize(
    ('name', 'version', 'sentence'),
    [
        ('torch', None, 'torch is not installed'),
        ('torch', '2.5.1+cu124', 'needs torch >= 2.6, found 2.5.1'),
        ('torchvision', None, 'goes with torchvision 0.'),
        ('cv2', None, 'pip install opencv-python'),
        ('pkg_resources', None, "pip install 'setuptools<82'"),
        ('mmengine', None, 'mmengine is not installed'),
        ('mmcv', None, "pip install 'mmcv-lite"),
        ('mmcv', '2.2.0', 'needs mmcv >= 2.0 and < 2.2, found 2.2.0'),
        ('mmcv', '1.7.2', 'needs mmcv >= 2.0 and < 2.2, found 1.7.2'),
        ('mmdet', None, "pip install 'mmdet>=3.3,<3.4'"),
        ('mmdet', '3.2.0', 'needs mmdet 3.3, found 3.2.0'),
    ],
)
def test_library_missing_or_of_another_version(monkeypatch, name, version, sentence):
    monkeypatch.setattr(sys, 'excepthook', sys.excepthook)
    monkeypatch.setitem(sys.modules, name, fake(name, version) if version else None)
    with pytest.raises(InstallError, match=re.escape(sentence)) as caught:
        install_check.check_install()
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('minor', 'series'), [(6, '0.21'), (7, '0.22'), (11, '0.26')])
def test_the_torchvision_that_belongs_to_a_torch(minor, series):
    assert install_check.torchvision_for(fake('torch', f'2.{minor}.0')) == series


COMMAND = 'from lighthead.cli import main; sys.exit(main(["train", "lighthead_shufflev2star"]))'
BROKEN = {
    # module: (what it raises on import, what the error message says)
    'torchvision': (
        "RuntimeError('operator torchvision::nms does not exist')",
        'torchvision does not match torch (operator torchvision::nms does not exist)',
    ),
    'cv2': (
        "ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
        'libgl1 libglib2.0-0 libxcb1',
    ),
}


@pytest.mark.parametrize('name', BROKEN)
@pytest.mark.parametrize('code', ['import lighthead, mmdet.apis', COMMAND])
def test_a_broken_library_is_named_without_a_traceback(tmp_path: Path, name, code):
    raises, message = BROKEN[name]
    (tmp_path / f'{name}.py').write_text(f'raise {raises}\n')
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            f'import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}',
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == EXIT_USER
    assert done.stdout == ''
    assert message in done.stderr
    assert done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1


def test_other_errors_keep_their_traceback(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(sys, 'excepthook', lambda *args: seen.append(args))
    install_check.hide_traceback()
    error = ValueError('another')
    sys.excepthook(ValueError, error, None)
    assert seen == [(ValueError, error, None)]
    with pytest.raises(SystemExit) as left:
        sys.excepthook(InstallError, InstallError('lacks x'), None)
    assert left.value.code == EXIT_USER
    assert capsys.readouterr().err == 'error: lacks x\n'


def test_compiled_mmcv_for_another_torch(monkeypatch):
    real = install_check.importlib.import_module

    def import_module(name: str) -> ModuleType:
        if name == 'mmcv._ext':
            raise ImportError('_ext.so: undefined symbol: _ZN3c106detail\nmore')
        return real(name)

    monkeypatch.setattr(install_check.importlib, 'import_module', import_module)
    monkeypatch.setattr(install_check, 'is_missing', lambda name: False)
    with pytest.raises(InstallError, match=r'undefined symbol: _ZN3c106detail\): rebuild it'):
        install_check.check_mmcv()
