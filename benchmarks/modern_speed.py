"""What the detectors of benchmarks/modern.py cost: multiply-adds, parameters, CPU time.

Each trained variant is exported (fp32, ONNX) and runs in ONNX Runtime, from the decoded photograph
to its boxes, all in turn on each photograph of one run. Two-stage detectors are files of
``lighthead export``; of one-stage detectors the convolutions are exported, and candidates are
chosen, decoded and suppressed by numpy and torchvision.

    python benchmarks/modern_speed.py OUT --data-root coco-people [--epochs 3] [--images 60]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from modern import VARIANTS, Variant, folder_of
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from lighthead import Detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.cli import build_parser
from lighthead.commands.export_job import export
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.export_onnx import OPSET, quiet
from lighthead.evaluation.accuracy import validation_split
from lighthead.inference.images import read_image
from lighthead.inference.preprocess import Preprocess
from lighthead.speed.harness.complexity import count

CANDIDATES, SCORE_THR, IOU_THR, DETECTIONS = 1000, 0.01, 0.6, 100
"""Test settings of configs/modern/one_stage_gfl.py."""
STRIDES = (8, 16, 32, 64)
WARM_UP = 5


class Cost(NamedTuple):
    """Multiply-adds and parameters of a detector."""

    macs: int
    parameters: int


class OneStage:
    """A one-stage detector from decoded images to boxes: ONNX Runtime, numpy, torchvision.

    Args:
        model: GFL's or RTMDet's head behind the modern detector's pyramid.
        preprocess: From the image to the network's input.
        path: Of the file to write.
        threads: Of ONNX Runtime.
    """

    def __init__(self, model: nn.Module, preprocess: Preprocess, path: Path, threads: int) -> None:
        import onnxruntime

        network = dense_network(model)
        dynamic = torch.export.Dim.DYNAMIC
        with quiet():
            program = torch.onnx.export(
                network,
                (torch.randn(1, 3, 192, 256),),
                dynamic_shapes=({2: dynamic, 3: dynamic},),
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                verbose=False,
            )
        assert program is not None
        program.save(str(path))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
        self.preprocess = preprocess
        self.distribution = hasattr(model.bbox_head, 'integral')

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4), scores (N,) and labels (N,) of an image (H, W, 3)."""
        batch = self.preprocess.batch([self.preprocess.resize(image)])
        maps = self.session.run(None, {self.session.get_inputs()[0].name: batch})
        levels = zip(maps[: len(STRIDES)], maps[len(STRIDES) :], STRIDES, strict=False)
        found = [self._of_level(*level) for level in levels]
        boxes, scores, labels = (torch.from_numpy(np.concatenate(x)) for x in zip(*found))
        best = scores.topk(min(CANDIDATES, len(scores))).indices
        boxes, scores, labels = boxes[best], scores[best], labels[best]
        kept = torchvision.ops.batched_nms(boxes, scores, labels, IOU_THR)[:DETECTIONS]
        restored = self.preprocess.restore(boxes[kept].numpy(), image.shape[:2])
        return restored, scores[kept].numpy(), labels[kept].numpy()

    def _of_level(self, logits: np.ndarray, sides: np.ndarray, stride: int) -> tuple[Any, ...]:
        """Candidates of one level: boxes, scores, labels."""
        threshold = np.log(SCORE_THR / (1 - SCORE_THR))
        labels, rows, columns = np.nonzero(logits[0] > threshold)
        scores = 1 / (1 + np.exp(-logits[0, labels, rows, columns]))
        sides = sides[0, :, rows, columns]
        if self.distribution:
            sides = sides.reshape(len(sides), 4, -1)
            weights = np.exp(sides - sides.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            sides = (weights @ np.arange(sides.shape[-1], dtype=np.float32)) * stride
        centres = np.stack([columns, rows, columns, rows], 1).astype(np.float32) * stride
        return centres + sides * np.array([-1, -1, 1, 1], np.float32), scores, labels


class ScoresAndBoxes(nn.Module):
    """The convolutions of a one-stage detector: images to the maps of all levels."""

    def __init__(self, dense: DenseNetwork) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.dense(images)
        return (*maps.scores, *maps.boxes)


def dense_network(model: nn.Module) -> nn.Module:
    """Made ready for inference as the two-stage detector's convolutions are."""
    head = deepcopy(model.bbox_head)
    for name in ('cls_convs', 'reg_convs'):  # RTMDet's levels share convolutions, not norms
        for layer in (layer for level in getattr(head, name, ()) for layer in level):
            layer.conv = deepcopy(layer.conv)
    extractor = SimpleNamespace(roi_layers=[SimpleNamespace(output_size=(1, 1))], out_channels=1)
    roi_head = SimpleNamespace(bbox_roi_extractor=extractor)
    parts = dict(backbone=model.backbone, neck=model.neck, rpn_head=head, roi_head=roi_head)
    return ScoresAndBoxes(DenseNetwork(SimpleNamespace(**parts))).eval()


def load(folder: Path, epochs: int) -> tuple[nn.Module, Config]:
    """The trained detector of a run, and its config."""
    (path,) = folder.glob('*.py')
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    model.load_state_dict(load_checkpoint_file(folder / f'epoch_{epochs}.pth')['state_dict'])
    return model.eval(), cfg


def cost_of(model: nn.Module, size: tuple[int, int]) -> Cost:
    """Of one image of ``size`` (height, width); of all RoIs that the test settings allow."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    images = torch.zeros(1, 3, *size)
    if not hasattr(model, 'roi_head'):
        return Cost(count(dense_network(model), images).macs, parameters)
    detector = eager_detector(model).eval()
    pooled = torch.zeros(detector.settings.max_proposals, detector.head.shared.in_features)
    macs = count(detector.dense, images).macs + count(detector.head, pooled).macs
    return Cost(macs, parameters)


def detector_of(
    folder: Path, model: nn.Module, preprocess: Preprocess | None, args: argparse.Namespace
) -> Detector | OneStage:
    """The exported detector of a run."""
    path = folder / 'detector.onnx'
    if not hasattr(model, 'roi_head'):
        assert preprocess is not None, 'the modern detector comes first'
        return OneStage(model, preprocess, path, args.threads)
    if not path.is_file():
        words = ['export', str(folder / f'epoch_{args.epochs}.pth'), '--out', str(path)]
        export(build_parser().parse_args([*words, '--format', 'onnx']))
    return Detector(path, score_thr=0.0, threads=args.threads)


def measure(detectors: Mapping[str, Callable], images: list[np.ndarray]) -> dict[str, list[float]]:
    """Seconds per image of each detector, in turn."""
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for number, image in enumerate(images):
        for name in list(detectors)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            detectors[name](image)
            if number >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    return times


def size_of(cfg: Config) -> tuple[int, int]:
    """(height, width) that images are padded to at most: 416 x 416, or 416 x 640 for 640 x 400."""
    resize = next(step for step in cfg.test_pipeline if step['type'] == 'Resize')
    width, height = (-(-side // 32) * 32 for side in resize['scale'])
    return height, width


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='of benchmarks/modern.py')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--seed', type=int, default=0, help='whose weights run')
    parser.add_argument('--images', type=int, default=60)
    parser.add_argument('--threads', type=int, default=1, help='more disturb one another')
    return parser.parse_args()


def trained(args: argparse.Namespace) -> list[Variant]:
    """The variants of which there are weights."""
    runs = {v: folder_of(v.name, args.seed, args) for v in VARIANTS if not v.weights_of}
    return [v for v, folder in runs.items() if (folder / f'epoch_{args.epochs}.pth').is_file()]


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    detectors: dict[str, Detector | OneStage] = {}
    costs: dict[str, Cost] = {}
    preprocess = None
    for variant in trained(args):  # the first is the modern detector, whose preprocessing all share
        folder = folder_of(variant.name, args.seed, args)
        model, cfg = load(folder, args.epochs)
        costs[variant.name] = cost_of(model, size_of(cfg))
        detectors[variant.name] = detector_of(folder, model, preprocess, args)
        preprocess = preprocess or detectors[variant.name].preprocess
    split = validation_split(args.data_root)
    files = [i['file_name'] for i in json.loads(split.ann_file.read_text())['images']]
    times = measure(detectors, [read_image(split.img_dir / f) for f in files[: args.images]])
    table = Table('detector', 'M params', 'G multiply-adds', 'median ms', 'p10', 'p90')
    for name, seconds in times.items():
        tenths = statistics.quantiles([s * 1e3 for s in seconds], n=10)
        numbers = [f'{tenths[i]:.1f}' for i in (4, 0, 8)]
        cost = costs[name]
        table.add_row(name, f'{cost.parameters / 1e6:.2f}', f'{cost.macs / 1e9:.3f}', *numbers)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == '__main__':
    main()
