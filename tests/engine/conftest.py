"""The toy training of this folder, loaded once by its path (tests are no packages)."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

TOY = Path(__file__).with_name('toy_training.py')


def _load() -> ModuleType:
    if 'toy_training' not in sys.modules:
        spec = importlib.util.spec_from_file_location('toy_training', TOY)
        sys.modules['toy_training'] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules['toy_training'])
    return sys.modules['toy_training']


@pytest.fixture(scope='session')
def toy_module() -> ModuleType:
    """The module; its ``train`` leaves torch with one thread."""
    return _load()


@pytest.fixture
def toy(toy_module: ModuleType) -> Iterator[ModuleType]:
    """The module, for one test; bit-for-bit equality needs one order of summation."""
    threads = torch.get_num_threads()
    yield toy_module
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def toy_script() -> Path:
    """The same as a script for a process of its own."""
    return TOY
