"""``import lighthead`` is light, and registers whatever the order of the imports is."""

import importlib.machinery
import subprocess
import sys
from types import ModuleType

import pytest

from lighthead.compat import import_hook
from lighthead.compat.wrapped_import import WrappingFinder

NAMES = """
from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS, OPTIM_WRAPPERS, RUNNERS
for registry, name in (
    (MODELS, 'LightHeadRCNN'), (MODELS, 'ShuffleNetV2'), (DATASETS, 'CocoDetDataset'),
    (HOOKS, 'SafeCheckpointHook'), (METRICS, 'CocoDetMetric'), (RUNNERS, 'LightHeadRunner'),
    (OPTIM_WRAPPERS, 'Bf16OptimWrapper'),
):
    assert registry.get(name).__module__.startswith('lighthead.'), name
"""
ORDERS = {
    'before mmdet': 'import lighthead\nimport mmdet.apis\n' + NAMES,
    'after the registries': 'import mmdet.registry\nimport lighthead\n' + NAMES,
    'a part first': 'from lighthead.engine.runner import LightHeadRunner\n' + NAMES,
    'mmcv alone': 'import lighthead, sys\nimport mmcv.ops\nassert "mmdet" not in sys.modules',
}


def run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_import_of_lighthead_imports_neither_torch_nor_mmdet():
    heavy = ('torch', 'mmdet', 'mmengine', 'mmcv', 'numpy', 'cv2', 'rich')
    done = run(f'import lighthead, sys\nprint([n for n in {heavy} if n in sys.modules])')
    assert done.stdout == '[]\n', done.stderr


@pytest.mark.slow
@pytest.mark.parametrize('order', ORDERS)
def test_everything_is_registered_in_whatever_order(order):
    done = run(ORDERS[order])
    assert done.returncode == 0, done.stderr[-2000:]


def test_modules_of_mmdet_keep_their_loader():
    import mmdet.models

    assert isinstance(mmdet.models.__loader__, importlib.machinery.SourceFileLoader)
    assert mmdet.models.__spec__.loader is mmdet.models.__loader__


def test_what_is_already_imported_is_followed_up(monkeypatch):
    followed = []
    monkeypatch.setattr(import_hook, 'follow_up', followed.append)
    monkeypatch.setattr(sys, 'meta_path', [])
    for name in ('mmdet', 'mmdet.models', 'mmdet.datasets', 'mmdet.evaluation'):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, 'mmdet.engine', raising=False)
    import_hook.install()
    assert followed == ['mmdet', 'mmdet.models', 'mmdet.datasets', 'mmdet.evaluation']


def test_it_is_installed_once():
    before = list(sys.meta_path)
    import_hook.install()
    assert sys.meta_path == before


def test_a_compiled_extension_comes_first(tmp_path, monkeypatch):
    """The finder of the stand-in is the last to be asked."""
    import mmcv

    (tmp_path / '_ext.py').write_text('compiled = True\n')
    monkeypatch.setattr(mmcv, '__path__', [*mmcv.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'mmcv._ext')
    monkeypatch.setattr(mmcv, '_ext', None)
    assert importlib.import_module('mmcv._ext').compiled


def test_other_modules_are_left_alone():
    finder = WrappingFinder(('mmdet',), import_hook.followed_up)
    assert finder.find_spec('mmdet.apis', None) is None
    assert import_hook.ExtensionFinder().find_spec('mmcv.ops', None) is None
    assert isinstance(sys.modules['mmcv._ext'], ModuleType)
