"""Tests of what runs on a GPU; the same tests run on the CPU where that means something."""

import pytest
import torch

CUDA = pytest.param('cuda', marks=pytest.mark.cuda)


def pytest_collection_modifyitems(items):
    """Skip tests marked ``cuda`` where torch sees no GPU."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('cuda'):
            item.add_marker(pytest.mark.skip(reason='torch sees no CUDA device here'))


@pytest.fixture(params=['cpu', CUDA])
def device(request):
    """The CPU, and where there is one, a GPU."""
    return torch.device(request.param)
