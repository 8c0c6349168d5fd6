"""What the tests of ``lighthead speed`` share: a known machine, and short measuring."""

import pytest

from lighthead import cli
from lighthead.speed.harness import bench
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.machine import Roofline
from lighthead.speed.harness.timer import Plan


def run_speed(*arguments):
    """The exit code of ``lighthead speed`` with these arguments."""
    return cli.main(['speed', *map(str, arguments)])


@pytest.fixture(scope='package')
def short_measuring():
    """A known machine, and two rounds of everything."""
    with pytest.MonkeyPatch.context() as patch:
        limit = Roofline(1e11, 1e10, 'cpu', 1, 'fp32')
        patch.setattr(bench, 'measure_roofline', lambda conditions, threads: limit)
        plan = Plan(min_time=1e-6, rounds=2, warmup=1)
        patch.setattr(Conditions, 'plan', lambda self, *_: plan)
        yield


@pytest.fixture(scope='package')
def table8(short_measuring, tmp_path_factory):
    """The folder of a run of table8 over three networks and one of the user's own."""
    pytest.importorskip('pytorchcv', reason="needs the extra 'bench'")
    folder = tmp_path_factory.mktemp('table8')
    networks = ('shufflenet_v2_0.5x', 'mobilenet_v1_0.25', 'xception_0.5x')
    arguments = ('table8', '--quick', '--threads', 1, '--seed', 3, '--only', *networks)
    arguments += ('--network', 'torchvision.models:shufflenet_v2_x0_5')
    assert run_speed(*arguments, '--input', '64x96', '--batch', 2, '--out', folder) == 0
    return folder


@pytest.fixture
def speed_command(short_measuring):
    """:func:`run_speed`, with short measuring."""
    return run_speed
