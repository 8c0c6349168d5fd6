"""One checkpoint on every backend and precision that runs here; other benchmarks use it."""

import importlib.util
from functools import partial
from pathlib import Path

from lighthead import Detector
from lighthead.cli import build_parser
from lighthead.commands.export_job import export
from lighthead.data.find_splits import find_splits

NEEDS = {
    'onnx': ('onnx', 'onnxscript', 'onnxruntime'),
    'openvino': ('onnx', 'onnxscript', 'openvino'),
    'onnx int8': ('onnx', 'onnxscript', 'onnxruntime'),
    'openvino int8': ('onnx', 'onnxscript', 'onnxruntime', 'openvino'),
}
"""Packages that a kind of file needs."""
SUFFIXES = {'onnx': '.onnx', 'openvino': '.xml'}
RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}
CALIBRATION_IMAGES = 100
EVALUATED = 50
"""Images on which the export of INT8 prints its loss of AP."""


def installed(*packages: str) -> bool:
    """Whether all of these can be imported."""
    return all(importlib.util.find_spec(name) for name in packages)


def export_all(checkpoint: Path, folder: Path, data_root: str | None) -> dict[str, Path]:
    """The exported files, by kind; INT8 where there is a data set to calibrate with."""
    files = {}
    for kind, packages in NEEDS.items():
        format_, _, int8 = kind.partition(' ')
        train = find_splits(data_root).train if int8 and data_root else None
        if not installed(*packages) or (int8 and train is None):
            continue
        out = folder / f'{checkpoint.stem}{"_int8" if int8 else ""}{SUFFIXES[format_]}'
        words = ['export', str(checkpoint), '--format', format_, '--out', str(out)]
        options = build_parser().parse_args(words)
        if train is not None:
            options.int8, options.data_root, options.eval_images = True, data_root, EVALUATED
            options.calib = str(train.img_dir)
            options.calib_images = CALIBRATION_IMAGES
        files[kind] = export(options)
    return files


def open_all(
    checkpoint: Path, files: dict[str, Path], score_thr: float, threads: int
) -> dict[str, Detector]:
    """Detectors on the CPU, by backend and precision."""
    open_detector = partial(Detector, score_thr=score_thr, device='cpu', threads=threads)
    detectors = {
        'torch fp32': open_detector(checkpoint),
        'torch bf16': open_detector(checkpoint, precision='bf16'),
    }
    for kind, path in files.items():
        format_, _, int8 = kind.partition(' ')
        for precision in [int8] if int8 else ['fp32', 'bf16'] if kind == 'openvino' else ['fp32']:
            detectors[f'{RUNTIMES[format_]} {precision}'] = open_detector(path, precision=precision)
    return detectors
