"""The convolutional part of a detector against the machine's matrix product, per backend.

How many of the operations that a large matrix product reaches in the same precision (torch's,
on the same threads) do the backbone, the separable convolution and the RPN's convolutions reach?

    python benchmarks/convolutions.py CHECKPOINT --shape 800 1216 --threads 2 --data-root DIR
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from all_backends import export_all
from comparison import make_parser
from rich.console import Console
from rich.table import Table

from lighthead.checkpoint.build_model import build_detector, build_model
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.metadata import dense_names
from lighthead.deploy.precision import PRECISIONS, in_memory_format
from lighthead.speed.harness.complexity import count
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import Plan, Workload, intra_op_threads, measure

SIDE = 1536
"""Of the matrices that measure the peak."""


def torch_calls(checkpoint: Path, images: torch.Tensor) -> tuple[dict[str, Callable], int]:
    """Calls of the convolutional part in torch, and its multiply-adds."""
    content = load_checkpoint_file(checkpoint)
    specification = read_specification(content['meta'], checkpoint)
    calls: dict[str, Callable] = {}
    for precision in ('fp32', 'bf16'):
        model = build_detector(specification, content['state_dict'], checkpoint)
        dense = in_memory_format(DenseNetwork(model).to(PRECISIONS[precision]), torch.channels_last)
        batch = images.to(PRECISIONS[precision], memory_format=torch.channels_last)
        calls[f'torch {precision}'] = torch.inference_mode()(partial(dense, batch))
    bare = build_model(specification.model_cfg())
    return calls, count(DenseNetwork(bare), images).macs


def onnxruntime_call(path: Path, folder: Path, images: np.ndarray, threads: int) -> Callable:
    """The part of an ONNX file before the proposals."""
    import onnx
    import onnxruntime
    from onnx.utils import Extractor

    part = folder / f'{path.stem}_dense.onnx'
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    outputs = dense_names(output for node in model.graph.node for output in node.output)
    onnx.save(Extractor(model).extract_model(['images'], outputs), part)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(part, options, ['CPUExecutionProvider'])
    return lambda: session.run(None, dict(images=images))


def openvino_call(path: Path, precision: str, images: np.ndarray, threads: int) -> Callable:
    """The part of an OpenVINO file before the proposals."""
    import openvino

    from lighthead.inference.runtimes.openvino_backend import split

    core = openvino.Core()
    sizes = np.array([images.shape[2:]], np.float32)
    dense, _ = split(openvino, core.read_model(path))
    settings = dict(INFERENCE_PRECISION_HINT=precision, INFERENCE_NUM_THREADS=threads)
    request = core.compile_model(dense, 'CPU', settings).create_infer_request()
    return lambda: request.infer(
        dict(images=images, sizes=sizes), share_inputs=True, share_outputs=True
    )


def product_calls() -> dict[str, Callable]:
    """Large matrix products in each precision."""
    a = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    half, eighth = a.bfloat16(), (a * 30).clamp(-127, 127).to(torch.int8)
    calls = {
        'product fp32': lambda: torch.mm(a, a),
        'product bf16': lambda: torch.mm(half, half),
    }
    if hasattr(torch, '_int_mm'):  # private to torch
        calls['product int8'] = lambda: torch._int_mm(eighth, eighth)
    return calls


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('--shape', nargs=2, type=int, default=(800, 1216), metavar=('H', 'W'))
    parser.add_argument('--data-root', metavar='DIR', help='to calibrate INT8 with')
    args = parser.parse_args()
    images = torch.randn(1, 3, *args.shape, generator=torch.Generator().manual_seed(args.seed))
    array = images.numpy()
    with tempfile.TemporaryDirectory() as name, quiet_libraries(), intra_op_threads(args.threads):
        calls, macs = torch_calls(args.checkpoint, images)
        for kind, path in export_all(args.checkpoint, Path(name), args.data_root).items():
            format_, _, int8 = kind.partition(' ')
            if format_ == 'onnx':
                call = onnxruntime_call(path, Path(name), array, args.threads)
                calls[f'onnxruntime {int8 or "fp32"}'] = call
                continue
            for label, hint in [(int8, 'f32')] if int8 else [('fp32', 'f32'), ('bf16', 'bf16')]:
                calls[f'openvino {label}'] = openvino_call(path, hint, array, args.threads)
        work = [Workload(key, call) for key, call in (product_calls() | calls).items()]
        plan = Plan(min_time=args.seconds, rounds=args.rounds)
        timings = measure(work, plan, torch.device('cpu')).by_key
    title = f'{macs / 1e9:.2f} G multiply-adds, {args.shape}, {args.threads} threads'
    table = Table(title=f'{title}, torch {torch.__version__}')
    for column in ('what', 'median ms', 'GFLOP/s', "of the product's"):
        table.add_column(column, justify='left' if column == 'what' else 'right')
    for key, timing in timings.items():
        product = key.startswith('product')
        speed = 2 * (SIDE**3 if product else macs) / timing.median / 1e9
        peak = timings.get(f'product {key.split()[-1]}')
        share = ''
        if not product and peak is not None:
            share = f'{speed * peak.median / (2 * SIDE**3 / 1e9):.0%}'
        table.add_row(key, f'{timing.median * 1e3:.1f}', f'{speed:.0f}', share)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == '__main__':
    main()
