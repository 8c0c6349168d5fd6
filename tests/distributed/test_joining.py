"""How processes find each other, and what is said when they cannot."""

import subprocess
import sys
from functools import partial

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config

from lighthead.config.check import prepare_resume
from lighthead.engine import distributed
from lighthead.errors import UserError

from .launching import free_port, torchrun

ADDRESS = dict(MASTER_ADDR='node0', MASTER_PORT='1234')


@pytest.mark.parametrize(
    ('launcher', 'variables'),
    [
        ('pytorch', dict(RANK='5', WORLD_SIZE='8', LOCAL_RANK='1')),
        ('slurm', dict(SLURM_PROCID='5', SLURM_NTASKS='8', SLURM_LOCALID='1')),
        (
            'mpi',
            dict(
                OMPI_COMM_WORLD_RANK='5',
                OMPI_COMM_WORLD_SIZE='8',
                OMPI_COMM_WORLD_LOCAL_RANK='1',
            ),
        ),
    ],
)
def test_every_launchers_variables_are_read(launcher: str, variables: dict) -> None:
    environment = distributed.read_environment(launcher, variables | ADDRESS)
    assert environment == dict(RANK='5', WORLD_SIZE='8', LOCAL_RANK='1', **ADDRESS)


def test_slurms_first_machine_is_the_meeting_point(tmp_path, monkeypatch) -> None:
    fake = tmp_path / 'scontrol'
    fake.write_text('#!/bin/sh\necho "$3" | tr , "\\n"\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    variables = dict(
        SLURM_PROCID='0', SLURM_NTASKS='2', SLURM_LOCALID='0', SLURM_NODELIST='gpu7,gpu8'
    )
    environment = distributed.read_environment('slurm', variables)
    assert (environment['MASTER_ADDR'], environment['MASTER_PORT']) == ('gpu7', '29500')


def test_a_process_that_no_launcher_started(monkeypatch) -> None:
    with pytest.raises(UserError, match='RANK is not set, so torchrun did not start'):
        distributed.read_environment('pytorch', {})
    with pytest.raises(UserError, match='set MASTER_ADDR'):
        distributed.read_environment('slurm', dict.fromkeys(distributed.ENVIRONMENTS['slurm'], '0'))


def test_more_processes_than_gpus(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    for name, value in dict(RANK='2', WORLD_SIZE='4', LOCAL_RANK='2', **ADDRESS).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match='process 3 on a machine with 2 GPUs'):
        distributed.join_processes(Config(dict(launcher='pytorch')))


def test_without_a_launcher_nothing_changes() -> None:
    cfg = Config(dict(launcher='none', custom_hooks=[]))
    distributed.join_processes(cfg)
    assert cfg.to_dict() == dict(launcher='none', custom_hooks=[])
    assert not dist.is_initialized()


def test_errors_that_are_not_a_lost_process_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match='size mismatch'), distributed.leaving_together():
        raise RuntimeError('size mismatch')


def test_a_lost_process_is_reported(monkeypatch) -> None:
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_rank', lambda: 0)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    with (
        pytest.raises(UserError, match=r'Process 0 of 2 has lost the others .*--resume'),
        distributed.leaving_together(),
    ):
        raise RuntimeError('[gloo/transport/tcp/pair.cc:547] Connection closed by peer')


def test_torchrun_that_restarts_may_begin_a_run_with_resume(tmp_path, monkeypatch) -> None:
    """Only there, and only where no checkpoint is left that cannot be loaded."""
    resume = partial(prepare_resume, Config(), True, tmp_path)
    for restarts in ('', '0'):
        monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', restarts)
        with pytest.raises(UserError, match='holds no checkpoint'):
            resume()
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '3')
    assert resume() is None
    (tmp_path / 'iter_1.pth').write_bytes(b'damaged')
    with pytest.raises(UserError, match='holds no checkpoint'):
        resume()


RESTARTED = """
import os, signal, time
import torch, torch.distributed as dist
from mmengine.config import Config
from lighthead.engine.distributed import join_processes
rank, again = int(os.environ['RANK']), os.environ['TORCHELASTIC_RESTART_COUNT'] == '1'
if again and rank == 1:
    time.sleep(2)
join_processes(Config(dict(launcher='pytorch')))
if not again:
    dist.barrier()
    os.kill(os.getpid(), signal.SIGKILL)
total = torch.tensor([rank + 1])
dist.all_reduce(total)
open(f'{rank}.txt', 'w').write(str(int(total)))
"""


@pytest.mark.slow
def test_restarted_processes_do_not_read_the_addresses_of_dead_ones(tmp_path) -> None:
    """The second is late, and torchrun's default store still has the address of the dead one."""
    script = tmp_path / 'restarted.py'
    script.write_text(RESTARTED)
    layout = ('--nproc_per_node=2', '--max-restarts=1', f'--master_port={free_port()}')
    run = subprocess.run(
        [sys.executable, *torchrun(*layout), str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert [(tmp_path / f'{rank}.txt').read_text() for rank in (0, 1)] == ['3', '3']
