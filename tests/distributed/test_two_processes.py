"""Two real processes on the CPU (gloo) against one: gradients, losses, evaluation, files, death.

The two, as on two machines, have one image each per step, the one has both. Equal are they because
each loss divides by what does not depend on the process: 256 anchors and K
RoIs per image. With more RoIs than K, OHEM chooses among those of its process
(as in the paper), so the test stays below K.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.models.backbones import ShuffleNetV2

from .launching import free_port, torchrun

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name('detector_process.py')
PATIENCE = 600
TWO = ('--launcher', 'pytorch', '--batch-size', '1')


def start(work_dir: Path, weights: Path, *options: str, by: Sequence[str] = ()) -> subprocess.Popen:
    """One process, or what ``by`` starts."""
    return subprocess.Popen(
        [sys.executable, *by, str(SCRIPT), str(work_dir), str(weights), *options],
        cwd=work_dir.parent,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(work_dir: Path, weights: Path, *options: str, restarts: int = 0) -> subprocess.Popen:
    """Two processes on one machine, with one image per step each."""
    by = torchrun(
        '--nproc_per_node=2', f'--max-restarts={restarts}', f'--master_port={free_port()}'
    )
    return start(work_dir, weights, *TWO, *options, by=by)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors[-4000:]


def notes(work_dir: Path, name: str) -> list:
    path = work_dir.with_name(f'{work_dir.name}_notes') / f'{name}.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def steps(work_dir: Path, rank: int = 0) -> dict:
    folder = work_dir.with_name(f'{work_dir.name}_notes')
    return torch.load(folder / f'steps_{rank}.pt', weights_only=True)


def relative(difference: torch.Tensor, reference: torch.Tensor) -> float:
    return float(difference.norm() / (reference.norm() + 1e-12))


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone with plausible statistics, so that its norms can be frozen as in the recipe."""
    torch.manual_seed(0)
    backbone = ShuffleNetV2(0.5, out_indices=(0, 1, 2, 3)).train()
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.randn(4, 3, 96, 96))
    path = tmp_path_factory.mktemp('weights') / 'backbone.pth'
    torch.save(backbone.state_dict(), path)
    return path


@pytest.fixture(scope='module')
def one(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of one process with two images per step."""
    work_dir = tmp_path_factory.mktemp('one') / 'run'
    finish(start(work_dir, weights))
    return work_dir


@pytest.fixture(scope='module')
def two(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of two processes with one image per step each, as on two machines."""
    work_dir = tmp_path_factory.mktemp('two') / 'run'
    layout = ('--nnodes=2', '--nproc_per_node=1', f'--master_port={free_port()}')
    machines = [
        start(work_dir, weights, *TWO, by=torchrun(*layout, f'--node_rank={rank}'))
        for rank in range(2)
    ]
    for machine in machines:
        finish(machine)
    return work_dir


def test_losses_gradients_and_rates_equal_one_processs(one: Path, two: Path) -> None:
    single, pair = steps(one), steps(two)
    assert len(single['losses']) == len(pair['losses']) == 4
    expected = [0.01 * 2 / 16 * (1 / 3 + 2 / 3 * step / 499) for step in range(4)]
    assert single['rates'] == pytest.approx(expected, rel=1e-3), 'base 16, two images per step'
    assert pair['rates'] == single['rates']
    for mine, theirs in zip(pair['losses'], single['losses']):
        assert mine == pytest.approx(theirs, rel=1e-5)
    differences = []
    for mine, theirs in zip(pair['gradients'], single['gradients']):
        assert mine.keys() == theirs.keys()
        assert all(relative(mine[name] - theirs[name], theirs[name]) < 1e-2 for name in theirs)
        flat = [torch.cat([step[name].flatten() for name in theirs]) for step in (mine, theirs)]
        differences.append(relative(flat[0] - flat[1], flat[1]))
    assert min(differences) < 1e-6, 'rounding alone'
    assert max(differences) < 1e-3, 'a unit whose input is zero but for rounding may switch'


def test_both_processes_take_the_same_steps(two: Path) -> None:
    first, second = steps(two, 0), steps(two, 1)
    for mine, theirs in zip(first['gradients'], second['gradients']):
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_every_image_is_evaluated_and_gathered_once(one: Path, two: Path) -> None:
    """Five images for two processes: one of them is given a sixth, which does not count."""
    evaluated = [notes(two, f'evaluated_{rank}') for rank in range(2)]
    assert [len(ids) for ids in evaluated] == [3, 3]
    gathered = notes(two, 'gathered_0')
    assert sorted(gathered) == sorted(notes(one, 'gathered_0'))
    assert len(set(gathered)) == len(gathered) == 5
    assert not notes(two, 'gathered_1'), 'the first process alone computes the figures'
    pair, single = notes(two, 'figures_0')[0], notes(one, 'figures_0')[0]
    assert pair == pytest.approx(single, abs=1e-3)


def test_checkpoints_are_written_once(two: Path) -> None:
    written = notes(two, 'written_0')
    assert {'iter_1.pth', 'epoch_1.pth'} <= set(written)
    assert not notes(two, 'written_1')
    assert not list(two.glob('.*.tmp'))


def test_a_death_ends_the_run_and_resume_continues(
    weights: Path, two: Path, tmp_path: Path
) -> None:
    work_dir = tmp_path / 'run'
    process = start_two(work_dir, weights, '--die-after', '3')
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert 'Signal 9 (SIGKILL)' in errors, errors[-4000:]
    assert find_latest_checkpoint(work_dir).name in ('iter_2.pth', 'iter_3.pth')
    finish(start_two(work_dir, weights, '--resume'))
    a, b = (load_checkpoint_file(folder / 'epoch_1.pth') for folder in (two, work_dir))
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key


def test_an_elastic_run_goes_on_by_itself(weights: Path, two: Path, tmp_path: Path) -> None:
    """torchrun starts both processes again where one dies; ``--resume`` does the rest.

    The run that is resumed by hand, above, and the one that nobody kills end with these weights.
    """
    work_dir, died = tmp_path / 'run', tmp_path / 'died'
    options = ('--resume', '--die-after', '3', '--died', str(died))
    process = start_two(work_dir, weights, *options, restarts=1)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors[-4000:]
    assert died.exists()
    assert 'Signal 9 (SIGKILL)' in errors or '-9' in errors, errors[-4000:]
    written = notes(work_dir, 'written_0')
    assert 'epoch_1.pth' in written
    a, b = (load_checkpoint_file(folder / 'epoch_1.pth') for folder in (two, work_dir))
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key
