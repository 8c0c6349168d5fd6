"""What every test shares: the path of the shared files, seeds, thread counts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

import lighthead  # noqa: F401  (before mmcv.ops and mmdet.models, which tests import)

SHARED = Path(__file__).resolve().parents[2] / 'shared'
"""Files that lie beside a checkout and do not ship: small COCO subsets, weights, papers' facts."""


def pytest_configure(config: pytest.Config) -> None:
    """One thread: tests run in parallel processes, and sums have the same order everywhere."""
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``requires_shared`` where the file they name is absent."""
    for item in items:
        for mark in item.iter_markers('requires_shared'):
            missing = [name for name in mark.args or ('',) if not (SHARED / name).exists()]
            if missing:
                names = ', '.join(str(Path('../shared') / name) for name in missing)
                item.add_marker(pytest.mark.skip(reason=f'{names} is not beside the checkout'))


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """``../shared`` (use it with the mark ``requires_shared('coco-mini')``)."""
    return SHARED


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Every test starts from the same random state, in whatever order they run."""
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session', autouse=True)
def mmdet_scope() -> None:
    """Types are looked up in mmdet's registries, as a runner's ``default_scope`` has it."""
    DefaultScope.get_instance('tests', scope_name='mmdet')
