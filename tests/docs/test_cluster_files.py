"""The files for clusters: what can be said of them without one."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from lighthead.cli import build_parser

FOLDER = Path(__file__).resolve().parents[2] / 'docs/cluster'
RAY_JOB = {'entrypoint', 'shutdownAfterJobFinishes', 'ttlSecondsAfterFinished', 'backoffLimit'}
RAY_CLUSTER = {'rayVersion', 'headGroupSpec', 'workerGroupSpecs', 'enableInTreeAutoscaling'}
HEAD = {'rayStartParams', 'template', 'serviceType'}
WORKERS = {'groupName', 'replicas', 'minReplicas', 'maxReplicas', 'rayStartParams', 'template'}


def test_slurms_array_covers_every_shard(tmp_path):
    """The script runs with a stand-in for the command; its shares are those of the array."""
    fake = tmp_path / 'lighthead'
    fake.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    fake.chmod(0o755)
    script = FOLDER / 'slurm.sh'
    options = dict(
        line.removeprefix('#SBATCH --').split('=', 1)
        for line in script.read_text().splitlines()
        if line.startswith('#SBATCH --') and '=' in line
    )
    first, last = map(int, options['array'].split('-'))
    shares = []
    for number in range(first, last + 1):
        environment = dict(
            PATH=f'{tmp_path}:{os.environ["PATH"]}',
            SLURM_CPUS_PER_TASK=options['cpus-per-task'],
            SLURM_ARRAY_TASK_ID=str(number),
            SLURM_ARRAY_TASK_COUNT=str(last - first + 1),
        )
        done = subprocess.run(
            ['bash', script, 'in/*.tar', 'out dir', 'm.onnx'],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        args = build_parser().parse_args(done.stdout.splitlines())
        assert (args.input, args.out, args.model) == ('in/*.tar', 'out dir', 'm.onnx')
        shares.append(args.shard)
    assert sorted(shares) == [(number, 16) for number in range(16)]


def test_rays_cluster_file_is_what_ray_up_takes():
    util = pytest.importorskip(
        'ray.autoscaler._private.util', reason='ray is not installed: the extra ray'
    )
    cluster = yaml.safe_load((FOLDER / 'ray-cluster.yaml').read_text())
    machines = len(cluster['provider']['worker_ips'])
    assert cluster['min_workers'] == cluster['max_workers'] == machines
    util.validate_config(util.prepare_config(cluster))
    with pytest.raises(Exception, match='worker_comands'):
        util.validate_config(util.prepare_config(cluster | dict(worker_comands=[])))


def test_kuberays_job():
    """Its fields are among those of KubeRay's types; its command is one."""
    job = yaml.safe_load((FOLDER / 'rayjob.yaml').read_text())
    assert (job['apiVersion'], job['kind']) == ('ray.io/v1', 'RayJob')
    spec = job['spec']
    cluster = spec.pop('rayClusterSpec')
    assert spec.keys() <= RAY_JOB
    assert cluster.keys() <= RAY_CLUSTER
    assert cluster['headGroupSpec'].keys() <= HEAD
    assert all(group.keys() <= WORKERS for group in cluster['workerGroupSpecs'])
    groups = [cluster['headGroupSpec'], *cluster['workerGroupSpecs']]
    for group in groups:
        assert all(isinstance(value, str) for value in group['rayStartParams'].values())
        pod = group['template']['spec']
        volumes = {volume['name'] for volume in pod['volumes']}
        mounts = {mount['name'] for one in pod['containers'] for mount in one['volumeMounts']}
        assert mounts == volumes
    words = spec['entrypoint'].replace("'", '').split()
    args = build_parser().parse_args(words[1:])
    cpus = [
        int(g['template']['spec']['containers'][0]['resources']['limits']['cpu']) for g in groups
    ]
    loading = sum(g['replicas'] * cpu for g, cpu in zip(groups[1:], cpus[1:], strict=True)) + 1
    assert args.executor == 'ray'
    assert args.actors < loading, 'CPUs are left to load images'


def test_the_pinned_ray_is_that_of_the_job():
    pins = (FOLDER.parents[1] / 'constraints.txt').read_text()
    job = yaml.safe_load((FOLDER / 'rayjob.yaml').read_text())
    assert f'ray=={job["spec"]["rayClusterSpec"]["rayVersion"]}\n' in pins
