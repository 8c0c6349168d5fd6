"""Several processes on one or more machines: joined over NCCL on GPUs, over gloo on CPUs.

mmengine's launchers call ``torch.cuda.set_device`` whatever the backend, and
its runner gives DistributedDataParallel a device id that a model on the CPU
refuses. Here the processes are joined before the runner is built, which then
leaves them alone. Every loss divides by what is the same in all processes (RPN
and plain samplers: the mean count, all-reduced; OHEM: K per image), so that the
mean of the gradients is the gradient of the mean.
OHEM chooses among the RoIs of its own process, as the paper's does on each GPU.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.dist import init_dist

from lighthead.errors import UserError

ENVIRONMENTS = {
    # launcher -> what it calls RANK, WORLD_SIZE and LOCAL_RANK
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
STARTERS = {'pytorch': 'torchrun', 'slurm': 'srun', 'mpi': 'mpirun'}
PORT = '29500'
"""torch.distributed's default."""
LOST = ('connection closed', 'connection reset', 'broken pipe', 'gloo', 'nccl', 'timed out')
"""Words in the errors of a process that has lost another one."""


def join_processes(cfg: Config) -> None:
    """Join the processes that ``cfg.launcher`` started, and adapt ``cfg`` in place.

    Does nothing without a launcher. Batch-norm statistics are the first
    process's while training (torch's default) and the mean of all at the end of
    an epoch, so that what a checkpoint holds is what every process goes on with.

    Raises:
        UserError: if no launcher started this process, or there are more
            processes than GPUs on this machine.
    """
    launcher = cfg.get('launcher') or 'none'
    if launcher == 'none':
        return
    if not dist.is_initialized():
        environment = read_environment(launcher, os.environ)
        settings = dict(cfg.get('env_cfg', {}).get('dist_cfg') or {})
        if torch.cuda.is_available():
            _check_gpus(int(environment['LOCAL_RANK']))
            _keep_start_method(cfg)
            init_dist(launcher, **settings, **_store_of_this_restart(launcher))
        else:
            os.environ.update(environment)
            seconds = settings.get('timeout')
            timeout = None if seconds is None else timedelta(seconds=seconds)
            store = _store_of_this_restart(launcher)
            dist.init_process_group('gloo', timeout=timeout, **store)
    _set_wrapper(cfg)
    _gather_directly(cfg)


@contextmanager
def leaving_together() -> Iterator[None]:
    """Leave the other processes in order at the end of the block.

    Raises:
        UserError: if the block failed because another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, dist.DistError) or any(w in str(error).lower() for w in LOST)
        if not (dist.is_initialized() and lost):
            raise
        raise UserError(
            f'Process {dist.get_rank()} of {dist.get_world_size()} has lost the others '
            f'({str(error).strip().splitlines()[-1][:160]}): the output of the process that '
            'ended first has the reason; then continue with --resume.'
        ) from error
    if dist.is_initialized():
        dist.destroy_process_group()


def restarts_processes() -> bool:
    """Whether torchrun starts this process again when one of the run dies (``--max-restarts``)."""
    return int(os.environ.get('TORCHELASTIC_MAX_RESTARTS') or 0) > 0


def read_environment(launcher: str, variables: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of this process.

    Raises:
        UserError: if ``launcher`` did not start it, or the first machine is unknown.
    """
    names = ENVIRONMENTS[launcher]
    missing = [name for name in names if name not in variables]
    if missing:
        raise UserError(
            f'--launcher {launcher}: {missing[0]} is not set, so {STARTERS[launcher]} did not '
            f'start this process: start it with {STARTERS[launcher]}, or leave --launcher out.'
        )
    environment = dict(zip(('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), (variables[n] for n in names)))
    environment['MASTER_ADDR'] = variables.get('MASTER_ADDR') or _first_machine(launcher, variables)
    environment['MASTER_PORT'] = variables.get('MASTER_PORT') or PORT
    return environment


def _first_machine(launcher: str, variables: Mapping[str, str]) -> str:
    if launcher == 'slurm' and 'SLURM_NODELIST' in variables:
        command = ['scontrol', 'show', 'hostnames', variables['SLURM_NODELIST']]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            return answer.stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            pass
    raise UserError(
        f'--launcher {launcher}: set MASTER_ADDR to the name or address of the first machine.'
    )


def _check_gpus(local_rank: int) -> None:
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise UserError(
            f'This is process {local_rank + 1} on a machine with {count} GPUs: start as many '
            "processes as GPUs, or set CUDA_VISIBLE_DEVICES='' to train on the CPU."
        )


def _keep_start_method(cfg: Config) -> None:
    """mmengine's init_dist would choose ``spawn`` for the data loaders' workers."""
    if mp.get_start_method(allow_none=True) is None:
        settings = cfg.get('env_cfg', {}).get('mp_cfg') or {}
        mp.set_start_method(settings.get('mp_start_method', 'fork'))


def _store_of_this_restart(launcher: str) -> dict[str, Any]:
    """Where torchrun has started all processes of one machine again: a store without old addresses.

    Its default ``--rdzv_backend=static`` keeps one store over all restarts, in which a process
    that comes early reads the address of one that is dead ("connection refused"). On several
    machines the restarts are not counted alike: there ``--rdzv_backend=c10d`` brings a new store.
    """
    count = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
    if launcher != 'pytorch' or count == '0' or os.environ.get('GROUP_WORLD_SIZE') != '1':
        return {}
    store, rank, world_size = next(dist.rendezvous('env://'))
    store = dist.PrefixStore(f'restart {count}', store)
    return dict(store=store, rank=rank, world_size=world_size)


def _set_wrapper(cfg: Config) -> None:
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=True,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
    if not torch.cuda.is_available():
        cfg.model_wrapper_cfg['device_ids'] = None
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(hook['type'] == 'SyncBuffersHook' for hook in hooks):
        # before OptimizerStepEMAHook (49) and the checkpoint
        cfg.custom_hooks = [*hooks, dict(type='SyncBuffersHook', priority=40)]


def _gather_directly(cfg: Config) -> None:
    """Metrics are gathered over the process group, not through a folder that all machines see."""
    for name in ('val_evaluator', 'test_evaluator'):
        if isinstance(cfg.get(name), dict):
            cfg[name].setdefault('collect_device', 'gpu')
