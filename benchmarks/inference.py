"""The fast path against torchvision's detector: decoded image to boxes, timed in turn in one run.

For the two test settings that people use: (a) 1000 proposals before suppression and a score
threshold of 0.05, as torchvision's default; (b) the paper's 6000 and none. The image is resized to
a short side of 800 and a long side of at most 1200, batch 1. lighthead runs a trained checkpoint on
every backend that is installed; torchvision's detector has random weights, since its trained ones
would have to be downloaded, and keeps its own settings. INT8 needs a data set in COCO layout to
calibrate with; what it costs in AP is printed with its export. The ratios compare with
torchvision's in the group; the last column with torchvision's on the same backend and precision.

    python benchmarks/inference.py CHECKPOINT IMAGE --threads 2 --data-root DIR

On a GPU: batches of four in every precision, images/s next to the paper's for the detector of
width 1.0x. All that a GPU should be measured for: lighthead speed gpu.

    python benchmarks/inference.py CHECKPOINT IMAGE --device cuda
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from all_backends import export_all, installed, open_all
from comparison import make_parser
from rich.console import Console
from rich.table import Table
from torchvision.transforms.functional import to_tensor

from lighthead import Detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import META_KEY
from lighthead.deploy.precision import possible_precisions
from lighthead.inference.images import read_image
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.memory import peak_memory
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import Plan, Timing, Workload, intra_op_threads, measure

SIDES = (800, 1200)
"""Short side and longest long side of the image in the network."""
TEST_SETTINGS: dict[str, dict[str, Any]] = {
    'a': dict(nms_pre=1000, score_thr=0.05),
    'b': dict(nms_pre=6000, score_thr=0.0),
}
BATCH = 4
PAPER_SPEED = 138
"""Images/s of ShuffleNetV2* 140M at batch 4 on a GTX 1080Ti (ShuffleNet V2, Table 7)."""
TORCHVISION = 'fasterrcnn_mobilenet_v3_large_fpn'


def with_settings(checkpoint: str, folder: Path, nms_pre: int, score_thr: float) -> Path:
    """A copy of a checkpoint whose specification has these test settings and the image size."""
    content = load_checkpoint_file(checkpoint)
    specification = json.loads(content['meta'][META_KEY])
    test_cfg = specification['detector']['test_cfg']
    test_cfg['rpn'].update(nms_pre=nms_pre, max_per_img=1000)
    test_cfg['rcnn'].update(score_thr=score_thr, max_per_img=100)
    specification['preprocess']['scale'] = SIDES[::-1]
    content['meta'][META_KEY] = json.dumps(specification)
    path = folder / f'{nms_pre}.pth'
    torch.save(content, path)
    return path


def torchvision_detector() -> torch.nn.Module:
    """torchvision's detector with random weights, with the same sizes."""
    torch.manual_seed(0)
    build = getattr(torchvision.models.detection, TORCHVISION)
    return build(weights=None, weights_backbone=None, min_size=SIDES[0], max_size=SIDES[1]).eval()


@torch.inference_mode()
def run_torchvision(model: torch.nn.Module, image: np.ndarray) -> list:
    """From a decoded image (H, W, 3) to boxes."""
    return model([to_tensor(image)])


def exported_torchvision(image: np.ndarray, folder: Path, threads: int) -> dict[str, Callable]:
    """Calls of torchvision's detector on ONNX Runtime and OpenVINO, by label; the same input."""
    path = folder / 'torchvision.onnx'
    pixels = to_tensor(image)
    calls: dict[str, Callable] = {}
    if not installed('onnx'):
        return calls
    torch.onnx.export(
        torchvision_detector(), ([pixels],), str(path), opset_version=17, dynamo=False
    )
    if installed('onnxruntime'):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
        name = session.get_inputs()[0].name
        calls['onnxruntime fp32'] = lambda: session.run(None, {name: to_tensor(image).numpy()})
    if installed('openvino'):
        import openvino

        core = openvino.Core()
        for precision, kind in (('fp32', 'f32'), ('bf16', 'bf16')):
            settings = dict(INFERENCE_PRECISION_HINT=kind, INFERENCE_NUM_THREADS=threads)
            compiled = core.compile_model(core.read_model(path), 'CPU', settings)
            calls[f'openvino {precision}'] = partial(
                lambda compiled: compiled([to_tensor(image).numpy()]), compiled
            )
    return calls


def prepare_lighthead(checkpoint: str, image: np.ndarray) -> Callable[[], object]:
    """For the process that reads peak memory."""
    return partial(Detector(checkpoint, device='cpu', score_thr=0.05), image)


def prepare_torchvision(image: np.ndarray) -> Callable[[], object]:
    """For the process that reads peak memory."""
    return partial(run_torchvision, torchvision_detector(), image)


def table_of(title: str, timings: Sequence[Timing], rivals: dict[str, str]) -> Table:
    """Medians and ratios; ``rivals`` names the torchvision timing of the same backend."""
    table = Table(title=title)
    for name in ('detector', 'median ms', 'p10', 'p90', 'x torchvision', 'x same backend'):
        table.add_column(name, justify='left' if name == 'detector' else 'right', no_wrap=True)
    by_key = {timing.key: timing.median for timing in timings}
    reference = by_key['torchvision: torch fp32']
    for timing in timings:
        numbers = [f'{1e3 * value:.1f}' for value in (timing.median, timing.p10, timing.p90)]
        rival = by_key.get(rivals.get(timing.key, ''))
        same = f'{timing.median / rival:.3f}' if rival else ''
        table.add_row(timing.key, *numbers, f'{timing.median / reference:.3f}', same)
    return table


def table_of_batches(title: str, timings: Sequence[Timing]) -> Table:
    """Images per second, next to torchvision's and the paper's."""
    table = Table(title=title)
    for name in ('detector', 'ms per batch', 'images/s', 'x torchvision', "x the paper's"):
        table.add_column(name, justify='left' if name == 'detector' else 'right', no_wrap=True)
    rival = max(t.items / t.median for t in timings if t.key.startswith('torchvision'))
    for timing in timings:
        speed = timing.items / timing.median
        paper = f'{speed / PAPER_SPEED:.1f}' if timing.key.startswith('lighthead') else ''
        table.add_row(
            timing.key,
            f'{1e3 * timing.median:.2f}',
            f'{speed:.0f}',
            f'{speed / rival:.2f}',
            paper,
        )
    return table


@torch.inference_mode()
def run_torchvision_batch(
    model: torch.nn.Module, images: Sequence[np.ndarray], conditions: Conditions
) -> list:
    """From decoded images to boxes on the host."""
    device = conditions.torch_device
    pixels = [torch.from_numpy(image).to(device).permute(2, 0, 1) / 255 for image in images]
    with conditions.applied():
        outputs = model(pixels)
    return [{name: values.cpu() for name, values in one.items()} for one in outputs]


def measure_batches(args: argparse.Namespace, image: np.ndarray, rgb: np.ndarray) -> None:
    """Batches of four on a GPU (or whatever device is named)."""
    device = torch.device(args.device)
    precisions = possible_precisions(device)
    rival = torchvision_detector().to(device)
    images, rgbs = [image] * BATCH, [rgb] * BATCH
    plan = Plan(min_time=args.seconds, rounds=args.rounds)
    with tempfile.TemporaryDirectory() as name:
        for letter in args.settings:
            settings = TEST_SETTINGS[letter]
            checkpoint = with_settings(args.checkpoint, Path(name), **settings)
            work = []
            for kind in precisions:
                conditions = Conditions(device=args.device, precision=kind)
                call = partial(run_torchvision_batch, rival, rgbs, conditions)
                work.append(Workload(f'torchvision: {kind}', call, BATCH))
            for kind in precisions:
                detector = Detector(checkpoint, device, None, kind, settings['score_thr'], BATCH)
                work.append(Workload(f'lighthead: {kind}', partial(detector, images), BATCH))
            timings = measure(work, plan, device).by_key
            where = torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'
            title = f'({letter}) {settings}, {where}, batch {BATCH}, torch {torch.__version__}'
            Console(width=None if sys.stdout.isatty() else 110).print(
                table_of_batches(title, list(timings.values()))
            )


def measure_backends(args: argparse.Namespace, image: np.ndarray, rgb: np.ndarray) -> None:
    """Single images on the CPU, on every backend."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    plan = Plan(min_time=args.seconds, rounds=args.rounds, warmup=2)
    title = f'{args.threads} threads, torch {torch.__version__}, {image.shape[1]}x{image.shape[0]}'
    with tempfile.TemporaryDirectory() as name, intra_op_threads(args.threads):
        folder = Path(name)
        rival_calls: dict[str, Callable] = {
            'torch fp32': partial(run_torchvision, torchvision_detector(), rgb),
            **exported_torchvision(rgb, folder, args.threads),
        }
        for letter in args.settings:
            settings = TEST_SETTINGS[letter]
            checkpoint = with_settings(args.checkpoint, folder, **settings)
            files = export_all(checkpoint, folder, args.data_root)
            calls = open_all(checkpoint, files, settings['score_thr'], args.threads)
            work = [Workload(f'torchvision: {k}', call) for k, call in rival_calls.items()]
            work += [Workload(f'lighthead: {k}', partial(call, image)) for k, call in calls.items()]
            timings = measure(work, plan, torch.device('cpu')).by_key
            rivals = {f'lighthead: {key}': f'torchvision: {key}' for key in calls}
            heading = f'({letter}) {settings}, {title}'
            console.print(table_of(heading, list(timings.values()), rivals))
        cpu = Conditions(threads=args.threads)
        for who, prepare in (
            ('lighthead', partial(prepare_lighthead, str(checkpoint), image)),
            ('torchvision', partial(prepare_torchvision, rgb)),
        ):
            console.print(f'peak memory of one image, {who}: {peak_memory(prepare, cpu):.0f} MiB')


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='of tools/train.py')
    parser.add_argument('image', help='a photograph')
    parser.add_argument('--data-root', metavar='DIR', help='to calibrate INT8 with')
    parser.add_argument('--settings', nargs='+', choices=[*TEST_SETTINGS], default=[*TEST_SETTINGS])
    args = parser.parse_args()
    image = read_image(args.image)
    rgb = np.ascontiguousarray(image[..., ::-1])
    run = measure_batches if args.device != 'cpu' else measure_backends
    with quiet_libraries():
        run(args, image, rgb)


if __name__ == '__main__':
    main()
