"""What a device computes against exact float32 on the CPU, or against a known answer."""

import math

import pytest
import torch
import torchvision

from lighthead.data.demo import write_demo
from lighthead.deploy.precision import possible_precisions
from lighthead.gpu_report.detectors import (
    Agreement,
    backend_of,
    eager_reference,
    random_batches,
    random_detector,
)
from lighthead.gpu_report.operators import candidates, make_rois, torchvision_nms
from lighthead.gpu_report.training import build_step, train_steps, training_config
from lighthead.ops import batched_nms_topk, ps_roi_align

KINDS = ['eager', 'fixed sizes', pytest.param('graph', marks=pytest.mark.cuda)]
SHARES = {'fp32': 0.995, 'tf32': 0.97, 'fp16': 0.9, 'bf16': 0.6}
"""Detections that must come again; half precision moves scores of random weights."""


@pytest.fixture(scope='module')
def reference():
    """Two batches of images and their detections, exact, on the CPU."""
    batches = list(random_batches(2, (320, 416)))
    detect = eager_reference(random_detector('0.5x'))
    return batches, [detect(batch)[0] for batch in batches]


@pytest.mark.parametrize('kind', KINDS)
def test_every_way_to_run_gives_the_detections_of_the_cpu(kind, device, reference):
    if kind == 'graph' and device.type == 'cpu':
        pytest.skip('only CUDA records graphs')
    for precision in possible_precisions(device):
        backend = backend_of(kind, random_detector('0.5x'), device, precision)
        total = Agreement()
        for batch, expected in zip(*reference, strict=True):
            size = tuple(batch.shape[2:])
            for _ in range(3 if kind == 'graph' else 1):  # computed, recorded, replayed
                detections = backend(batch.to(device), [size])[0]
            total.add(expected, detections)
        assert total.total > 20
        assert total.matched >= SHARES[precision] * total.total, precision


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_ps_roi_align_and_its_gradient_are_the_cpus(mode, device):
    features, rois = torch.randn(1, 490, 25, 38), make_rois(50, 800, 1200)
    results = []
    for where in (torch.device('cpu'), device):
        x = features.to(where).requires_grad_()
        pooled = ps_roi_align(x, rois.to(where), 7, 1 / 32, 2, mode)
        (grad,) = torch.autograd.grad(pooled.square().sum(), x)
        results.append((pooled.detach().cpu(), grad.cpu()))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-4)
    if mode == 'avg':
        kernel = torchvision.ops.ps_roi_align(features, rois, 7, 1 / 32, 2)
        torch.testing.assert_close(results[1][0], kernel, atol=1e-4, rtol=1e-4)


def test_suppression_keeps_what_torchvision_keeps(device):
    boxes, scores, labels = (values[:4000].to(device) for values in candidates(10))
    kept = batched_nms_topk(boxes, scores, labels, 0.5, 100)
    assert torch.equal(kept, torchvision_nms(boxes, scores, labels, 0.5, 100))


@pytest.mark.slow
def test_training_with_mixed_precision_lowers_the_loss(device, tmp_path):
    write_demo(tmp_path)
    flags = dict(data_root=str(tmp_path), from_scratch=True, amp=True, workers=0)
    cfg = training_config('lighthead_shufflev2star_demo', batch_size=2, **flags)
    step = build_step(cfg, device, endless=False)
    values = train_steps(step, 8, device)  # the same four batches twice
    assert math.isfinite(values['loss_first'])
    assert values['loss_last'] < values['loss_first']
