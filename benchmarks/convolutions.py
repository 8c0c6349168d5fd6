"""The convolutional part of a detector against the machine's matrix product, per backend.

How many of the operations that a large matrix product reaches in the same precision (torch's,
on the same threads) do the backbone, the separable convolution and the RPN's convolutions reach?
A config's detector has random weights, whose activation can be chosen; INT8 is calibrated on the
timed input, since ranges do not change the time.

    python benchmarks/convolutions.py CHECKPOINT --shape 800 1216 --threads 2
    python benchmarks/convolutions.py lighthead_shufflev2star --activation ReLU

What the runtimes reach at best: chains of one convolution of the network, without anything else.

    python benchmarks/convolutions.py --layers
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from comparison import make_parser
from fused_convolutions import ACTIVATIONS, build
from mmdet.models.detectors import BaseDetector
from rich.console import Console
from rich.table import Table
from single_layers import CHAINS, LAYERS, Layer, chain

from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.export_onnx import onnx_program
from lighthead.deploy.metadata import dense_names
from lighthead.deploy.precision import PRECISIONS, in_memory_format
from lighthead.deploy.quantise import quantise
from lighthead.deploy.quantise_onnxruntime import quantise_onnx
from lighthead.speed.harness.complexity import count
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import Plan, Timing, Workload, intra_op_threads, measure

if TYPE_CHECKING:
    from onnx import ModelProto

SIDE = 1536
"""Of the matrices that measure the peak."""
PRODUCT = 2 * SIDE**3
"""Its operations."""


def detector_of(name: str, activation: str) -> BaseDetector:
    """The detector of a checkpoint, or that of a config with random weights."""
    if not Path(name).is_file():
        return build(name, activation).eval()
    content = load_checkpoint_file(name)
    specification = read_specification(content['meta'], name)
    return build_detector(specification, content['state_dict'], name)


def torch_calls(model: BaseDetector, images: torch.Tensor) -> dict[str, Callable]:
    """Calls of the convolutional part in torch."""
    calls: dict[str, Callable] = {}
    for precision in ('fp32', 'bf16'):
        dense = in_memory_format(DenseNetwork(model).to(PRECISIONS[precision]), torch.channels_last)
        batch = images.to(PRECISIONS[precision], memory_format=torch.channels_last)
        calls[f'torch {precision}'] = torch.inference_mode()(partial(dense, batch))
    return calls


def dense_graph(model: BaseDetector) -> 'ModelProto':
    """The part of a detector's ONNX graph before the proposals."""
    import onnx
    from onnx.utils import Extractor

    graph = onnx.shape_inference.infer_shapes(onnx_program(model))
    outputs = dense_names(output for node in graph.graph.node for output in node.output)
    return Extractor(graph).extract_model(['images'], outputs)


def runtime_calls(graph: 'ModelProto', images: np.ndarray, threads: int) -> dict[str, Callable]:
    """Calls of a graph with the input ``images`` in the exported files' runtimes."""
    plain = graph.SerializeToString()
    inputs = [dict(images=images)]
    for_openvino = quantise(graph, inputs).SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        for_onnxruntime = quantise_onnx(graph, Path(folder), inputs).SerializeToString()
    return {
        'onnxruntime fp32': onnxruntime_call(plain, images, threads),
        'onnxruntime int8': onnxruntime_call(for_onnxruntime, images, threads),
        'openvino fp32': openvino_call(plain, 'f32', images, threads),
        'openvino bf16': openvino_call(plain, 'bf16', images, threads),
        'openvino int8': openvino_call(for_openvino, 'f32', images, threads),
    }


def onnxruntime_call(graph: bytes, images: np.ndarray, threads: int) -> Callable:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, ['CPUExecutionProvider'])
    return lambda: session.run(None, dict(images=images))


def openvino_call(graph: bytes, hint: str, images: np.ndarray, threads: int) -> Callable:
    import openvino

    core = openvino.Core()
    settings = dict(INFERENCE_PRECISION_HINT=hint, INFERENCE_NUM_THREADS=threads)
    model = core.read_model(graph)
    request = core.compile_model(model, 'CPU', settings).create_infer_request()
    return lambda: request.infer(dict(images=images), share_inputs=True, share_outputs=True)


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


def timed(calls: Mapping[str, Callable], args: argparse.Namespace) -> Mapping[str, Timing]:
    """Everything in alternating rounds."""
    work = [Workload(key, call) for key, call in calls.items()]
    plan = Plan(min_time=args.seconds, rounds=args.rounds)
    return measure(work, plan, torch.device('cpu')).by_key


def network_table(args: argparse.Namespace) -> Table:
    """The whole convolutional part."""
    images = torch.randn(1, 3, *args.shape, generator=torch.Generator().manual_seed(args.seed))
    model = detector_of(args.model, args.activation)
    macs = count(DenseNetwork(model), images).macs
    calls = product_calls() | torch_calls(model, images)
    calls |= runtime_calls(dense_graph(model), images.numpy(), args.threads)
    timings = timed(calls, args)
    title = f'{macs / 1e9:.2f} G multiply-adds, {args.shape}, {args.threads} threads'
    table = Table(title=f'{title}, torch {torch.__version__}')
    for column in ('what', 'median ms', 'GFLOP/s', "of the product's"):
        table.add_column(column, justify='left' if column == 'what' else 'right')
    for key, timing in timings.items():
        product = key.startswith('product')
        speed = (PRODUCT if product else 2 * macs) / timing.median
        peak = timings.get(f'product {key.split()[-1]}')
        share = ''
        if not product and peak is not None:
            share = f'{speed * peak.median / PRODUCT:.0%}'
        table.add_row(key, f'{timing.median * 1e3:.1f}', f'{speed / 1e9:.0f}', share)
    return table


def layer_calls(layer: Layer, args: argparse.Namespace) -> Iterator[tuple[str, Callable]]:
    """A short and a long chain of a layer in every runtime and precision."""
    images = np.random.default_rng(args.seed).standard_normal(layer.shape).astype(np.float32)
    for length in CHAINS:
        calls = runtime_calls(chain(layer, length, args.activation), images, args.threads)
        for key, call in calls.items():
            yield f'{key} {length}', call


def layers_table(args: argparse.Namespace) -> Table:
    """Each layer alone: milliseconds, and share of the product."""
    table = Table(title=f'one layer of a chain, {args.activation}, {args.threads} threads')
    short, long = CHAINS
    for layer in LAYERS:
        timings = timed(product_calls() | dict(layer_calls(layer, args)), args)
        keys = [key.rpartition(' ')[0] for key in timings if key.endswith(f' {short}')]
        if not table.columns:
            for column in ('layer', *keys):
                table.add_column(column, justify='left' if column == 'layer' else 'right')
        cells = []
        for key in keys:
            medians = [timings[f'{key} {length}'].median for length in CHAINS]
            seconds = (medians[1] - medians[0]) / (long - short)
            peak = PRODUCT / timings[f'product {key.split()[-1]}'].median
            cells.append(f'{seconds * 1e3:.3f} {2 * layer.macs / seconds / peak:.0%}')
        table.add_row(str(layer), *cells)
    return table


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        'model', nargs='?', default='lighthead_shufflev2star', help='checkpoint, or a config'
    )
    parser.add_argument('--shape', nargs=2, type=int, default=(800, 1216), metavar=('H', 'W'))
    parser.add_argument('--activation', choices=[*ACTIVATIONS], default='LeakyReLU')
    parser.add_argument('--layers', action='store_true', help='single layers instead')
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    with quiet_libraries(), intra_op_threads(args.threads):
        table = layers_table(args) if args.layers else network_table(args)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == '__main__':
    main()
