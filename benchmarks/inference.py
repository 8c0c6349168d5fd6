"""The fast path against torchvision's detector: decoded image to boxes, side by side in one run.

For the two test settings that people use: (a) 1000 proposals before suppression and a score
threshold of 0.05, as torchvision's default; (b) the paper's 6000 and none. The image is resized to
a short side of 800 and a long side of at most 1200, batch 1. Ours is a trained checkpoint on every
backend that is installed; torchvision's has random weights, since its trained ones would have to be
fetched, and keeps its own settings. INT8 needs a data set in COCO
layout to calibrate with; what it costs in AP is printed with its export. The ratios compare with
torchvision's in the group; the last column with torchvision's on the same backend and precision.

    python benchmarks/inference.py CHECKPOINT IMAGE --threads 2 --data-root DIR
"""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from op_benchmark import make_parser
from rich.console import Console
from rich.table import Table
from torchvision.transforms.functional import to_tensor

from lighthead import Detector
from lighthead.commands.export import ExportOptions, export
from lighthead.data.layout import find_coco_layout
from lighthead.engine.checkpoint import load_checkpoint_file
from lighthead.inference.images import read_image
from lighthead.speed.memory import peak_memory
from lighthead.speed.settings import Settings
from lighthead.speed.timer import Plan, Timing, Workload, intra_op_threads, measure

SIDES = (800, 1200)
"""Short side and longest long side of the image in the network."""
TEST_SETTINGS = {
    'a': dict(nms_pre=1000, score_thr=0.05),
    'b': dict(nms_pre=6000, score_thr=0.0),
}
EVALUATED = 50
"""Images on which the loss of AP by INT8 is printed."""
TORCHVISION = 'fasterrcnn_mobilenet_v3_large_fpn'


RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}


def installed(*packages: str) -> bool:
    """Whether all of these can be imported."""
    return all(importlib.util.find_spec(name) for name in packages)


def with_settings(checkpoint: str, folder: Path, nms_pre: int, score_thr: float) -> Path:
    """A copy of a checkpoint whose config has these test settings and the image size."""
    content = load_checkpoint_file(checkpoint)
    config = json.loads(content['meta']['config_json'])
    test_cfg = config['model']['test_cfg']
    test_cfg['rpn'].update(nms_pre=nms_pre, max_per_img=1000)
    test_cfg['rcnn'].update(score_thr=score_thr, max_per_img=100)
    for transform in config['test_dataloader']['dataset']['pipeline']:
        if transform['type'] == 'Resize':
            transform['scale'] = SIDES[::-1]
    content['meta']['config_json'] = json.dumps(config)
    path = folder / f'{nms_pre}.pth'
    torch.save(content, path)
    return path


def ours(
    checkpoint: Path, folder: Path, score_thr: float, threads: int, data_root: str | None
) -> dict[str, Detector]:
    """The detector on every backend and precision that runs here, by its label."""
    make = partial(Detector, score_thr=score_thr, device='cpu', threads=threads)
    detectors = {'torch fp32': make(checkpoint), 'torch bf16': make(checkpoint, precision='bf16')}
    files = {}
    for name, suffix in (('onnx', 'onnx'), ('openvino', 'xml')):
        out = folder / f'{checkpoint.stem}.{suffix}'
        if installed('onnx', 'onnxscript', RUNTIMES[name]):
            files[name] = export(ExportOptions(str(checkpoint), name, str(out)))
    if 'onnx' in files:
        detectors['onnxruntime fp32'] = make(files['onnx'])
    if 'openvino' in files:
        for precision in ('fp32', 'bf16'):
            detectors[f'openvino {precision}'] = make(files['openvino'], precision=precision)
        if data_root:
            options = ExportOptions(
                str(checkpoint),
                'openvino',
                str(folder / f'{checkpoint.stem}_int8.xml'),
                int8=True,
                calib=str(find_coco_layout(data_root).train.img_dir),
                calib_images=100,
                data_root=data_root,
                eval_images=EVALUATED,
            )
            detectors['openvino int8'] = make(export(options))
    return detectors


def torchvision_detector() -> torch.nn.Module:
    """torchvision's detector with random weights, resizing as ours does."""
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


def prepare_ours(checkpoint: str, image: np.ndarray) -> Callable[[], object]:
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


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='of tools/train.py')
    parser.add_argument('image', help='a photograph')
    parser.add_argument('--data-root', metavar='DIR', help='to calibrate INT8 with')
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    image = read_image(args.image)
    plan = Plan(min_time=args.seconds, rounds=args.rounds, warmup=2)
    rgb = np.ascontiguousarray(image[..., ::-1])
    title = f'{args.threads} threads, torch {torch.__version__}, {image.shape[1]}x{image.shape[0]}'
    with tempfile.TemporaryDirectory() as name, intra_op_threads(args.threads):
        folder = Path(name)
        rival_calls = {
            'torch fp32': partial(run_torchvision, torchvision_detector(), rgb),
            **exported_torchvision(rgb, folder, args.threads),
        }
        for letter, settings in TEST_SETTINGS.items():
            checkpoint = with_settings(args.checkpoint, folder, **settings)
            calls = ours(checkpoint, folder, settings['score_thr'], args.threads, args.data_root)
            work = [Workload(f'torchvision: {k}', call) for k, call in rival_calls.items()]
            work += [Workload(f'ours: {k}', partial(call, image)) for k, call in calls.items()]
            found = measure(work, plan, torch.device('cpu'))
            rivals = {f'ours: {key}': f'torchvision: {key}' for key in calls}
            heading = f'({letter}) {settings}, {title}'
            console.print(table_of(heading, list(found.by_key.values()), rivals))
        cpu = Settings(threads=args.threads)
        for who, prepare in (
            ('ours', partial(prepare_ours, str(checkpoint), image)),
            ('torchvision', partial(prepare_torchvision, rgb)),
        ):
            console.print(f'peak memory of one image, {who}: {peak_memory(prepare, cpu):.0f} MiB')


if __name__ == '__main__':
    main()
