"""The sections of ``lighthead speed gpu``: each returns what its tables need.

Times are added to the record; :class:`NotMeasuredError` says why a section cannot be measured.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import lighthead
from lighthead.deploy.precision import possible_precisions, tf32
from lighthead.gpu_report import operators
from lighthead.gpu_report.context import NotMeasuredError, Run
from lighthead.gpu_report.detectors import (
    RIVAL,
    WIDTHS,
    Agreement,
    backend_of,
    eager_reference,
    own_call,
    padded,
    random_batches,
    random_detector,
    rival_call,
)
from lighthead.gpu_report.export_check import check_exported
from lighthead.gpu_report.page import BATCHES, CONFIGS
from lighthead.gpu_report.training import (
    STILL_RATE,
    build_step,
    operator_shares,
    train_steps,
    training_config,
)
from lighthead.inference.runtimes.torch_backend import RecordedBackend
from lighthead.speed.harness.timer import Workload

IMAGES, IMAGES_QUICK = 50, 2
STEPS, STEPS_QUICK = 200, 2
RATE_SHARE = 0.2
"""Of a config's learning rate, for its steps in a row, which have no warm-up."""
TESTS_SECONDS = 300
COVERS = 'a normalised batch on the device to boxes on the host'
COVERS_OPERATOR = 'an operator, its inputs on the device'
COVERS_STEP = 'a training step: forward with all losses, backward, optimizer'


def environment(run: Run) -> dict:
    """Versions and what the device can do."""
    values: dict[str, Any] = {
        'torch': torch.__version__,
        'CUDA of torch': torch.version.cuda or 'none',
    }
    if run.conditions.on_gpu:
        properties = torch.cuda.get_device_properties(run.device)
        values |= {
            'device': properties.name,
            'compute capability': f'{properties.major}.{properties.minor}',
            'memory in GiB': round(properties.total_memory / 2**30, 1),
            'multiprocessors': properties.multi_processor_count,
            'cuDNN': torch.backends.cudnn.version(),
        }
    else:
        values['device'] = run.record.machine['cpu']
    values['precisions'] = ', '.join(possible_precisions(run.device))
    return values


def cuda_tests(run: Run) -> dict:
    """The tests marked ``cuda``, where there is a GPU and the tests are at hand."""
    if not run.conditions.on_gpu:
        raise NotMeasuredError('they need a CUDA device')
    tests = Path(lighthead.__file__).parent.parent / 'tests' / 'cuda'
    if not tests.is_dir():
        raise NotMeasuredError('the tests come with a checkout of the repository')
    command = [sys.executable, '-m', 'pytest', '-q', '-n', '0', '-m', 'cuda', str(tests)]
    root = tests.parent.parent
    ended = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=TESTS_SECONDS)
    summary = ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else 'no output'
    if ended.returncode:
        raise RuntimeError(f'{summary}; run: {" ".join(command[1:])}')
    return {'summary': re.sub('=+', '', summary).strip()}


def agreement(run: Run) -> dict:
    """Eager on the CPU against eager, fixed sizes and graph on the device, every precision."""
    count = IMAGES_QUICK if run.conditions.quick else IMAGES
    kinds = ('eager', 'fixed sizes', 'graph') if run.conditions.on_gpu else ('fixed sizes',)
    batches = list(random_batches(count, run.sides))
    detect = eager_reference(random_detector('0.5x'))
    references = [detect(batch)[0] for batch in run.bench.each('reference', batches)]
    rows = []
    for precision in run.precisions:
        for kind in kinds:
            backend = backend_of(kind, random_detector('0.5x'), run.device, precision)
            total = Agreement()
            for batch, reference in zip(batches, references, strict=True):
                height, width = batch.shape[2:]
                total.add(reference, backend(batch.to(run.device), [(height, width)])[0])
            graphs = backend.recorded.refused if isinstance(backend, RecordedBackend) else ()
            refused = len(graphs) if kind == 'graph' else 0
            row = {'kind': kind, 'device': run.device.type, 'precision': precision}
            rows.append(row | {'refused': refused} | vars(total))
    return {'rows': rows}


def speeds(run: Run) -> dict:
    """Images per second of the four widths and torchvision's detector; operators' shares."""
    quick = run.conditions.quick
    widths, batches = (['0.5x'], BATCHES[:1]) if quick else (list(WIDTHS), BATCHES)
    device = run.device
    for batch in batches:
        for precision in run.precisions:
            if time.monotonic() > run.deadline:
                return {}
            calls = {
                width: own_call(random_detector(width), batch, run.sides, device, precision)
                for width in widths
            }
            calls[RIVAL] = rival_call(batch, run.sides, device, precision)
            works = [Workload(f'{key} batch {batch}', call, batch) for key, call in calls.items()]
            run.time(works, precision, COVERS)
    return {'operators': {precision: _image_shares(run, precision) for precision in run.precisions}}


def _image_shares(run: Run, precision: str) -> dict[str, float]:
    """The largest shares of what a CUDA graph of a batch replays, called without a graph."""
    quick = run.conditions.quick
    backend = backend_of(
        'fixed sizes', random_detector('0.5x' if quick else '1.0x'), run.device, precision
    )
    batch = 1 if quick else 4
    images = torch.randn(batch, 3, *padded(run.sides), device=run.device)
    shares = operator_shares(lambda: backend(images, [run.sides] * batch), run.device)
    return dict(list(shares.items())[:10])


def operator_speeds(run: Run) -> dict:
    """PS-RoI align and suppression, exact float32."""
    poolings = list(operators.pooling_groups(run.device))
    suppressions = list(operators.suppression_groups(run.device))
    quick = run.conditions.quick
    for case, works in [poolings[0], suppressions[0]] if quick else [*poolings, *suppressions]:
        named = [Workload(f'{case}: {work.key}', work.call) for work in works]
        with tf32(False):
            run.time(named, 'fp32', COVERS_OPERATOR)
    return {}


def training_step(run: Run) -> dict:
    """The main config's step in every way it is trained: time, memory, operators."""
    result: dict = {'memory_mb': {}, 'operators': {}}
    for precision in ('fp32', 'tf32', 'amp') if run.conditions.on_gpu else ('fp32',):
        amp = precision == 'amp'
        cfg = _config(run, CONFIGS[0], amp=amp, lr=STILL_RATE, workers=0)
        step = build_step(cfg, run.device, endless=False)
        if run.conditions.on_gpu:
            torch.cuda.reset_peak_memory_stats(run.device)
        with tf32(precision == 'tf32'):
            run.time([Workload('training step', step, step.items)], precision, COVERS_STEP)
            shares = operator_shares(step, run.device)
        if run.conditions.on_gpu:
            peak = torch.cuda.max_memory_allocated(run.device) / 2**20
            result['memory_mb'][precision] = peak
        result['operators'][precision] = dict(list(shares.items())[:10])
        result['loading_ms'] = step.loading * 1e3
        result['images'] = step.items
    return result


def steps_in_a_row(run: Run) -> dict:
    """Many steps with mixed precision, as data are loaded, of two configs."""
    rows = []
    steps = STEPS_QUICK if run.conditions.quick else STEPS
    for name in CONFIGS[-1:] if run.conditions.quick else CONFIGS:
        workers = 0 if run.conditions.quick else 2
        cfg = _config(run, name, amp=True, workers=workers)
        cfg.optim_wrapper.optimizer.lr *= RATE_SHARE
        step = build_step(cfg, run.device, endless=True)
        values = train_steps(step, steps, run.device)
        rate = cfg.optim_wrapper.optimizer.lr
        rows.append({'config': name, 'device': run.device.type, 'rate': rate} | values)
    return {'rows': rows}


def exported(run: Run) -> dict:
    """The ONNX file on ONNX Runtime's CUDA execution provider against its CPU's."""
    try:
        import onnxruntime
    except ImportError:
        raise NotMeasuredError('onnxruntime is not installed') from None
    provider = 'CUDAExecutionProvider'
    if not run.conditions.on_gpu or provider not in onnxruntime.get_available_providers():
        raise NotMeasuredError('the onnxruntime here has no CUDA execution provider')
    return check_exported(random_detector('0.5x'), list(random_batches(4, run.sides)), provider)


def _config(run: Run, name: str, **flags: Any) -> Config:
    """A config as it is trained here, from scratch."""
    if run.conditions.quick:
        flags |= {'batch_size': 1, 'img_scale': run.sides[::-1]}
    return training_config(name, data_root=str(run.data_root), from_scratch=True, **flags)


SECTIONS: dict[str, Callable[[Run], dict]] = {
    'environment': environment,
    'images/s': speeds,
    'operators': operator_speeds,
    'training step': training_step,
    'steps with mixed precision': steps_in_a_row,
    'CUDA tests': cuda_tests,
    'agreement': agreement,
    'export': exported,
}
