"""Print versions, devices and the operators in use, for bug reports."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator

import lighthead
from lighthead.errors import InstallError

EXAMPLES = """
  lighthead info
"""
DISTRIBUTIONS = (
    'torch', 'torchvision', 'mmdet', 'mmengine', 'mmcv', 'mmcv-lite', 'numpy', 'opencv-python',
    'opencv-python-headless', 'pillow', 'pycocotools', 'faster-coco-eval', 'safetensors', 'onnx',
    'onnxruntime', 'onnxruntime-gpu', 'openvino', 'setuptools',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``lighthead info`` takes no arguments."""


def main(args: argparse.Namespace) -> None:
    """Print; what cannot be found out is reported in its line and does not stop the rest."""
    for name, value in lines():
        print(f'{name + ":":24}{value}')


def lines() -> Iterator[tuple[str, str]]:
    """Names and values, in the order in which they are printed."""
    yield 'lighthead', lighthead.__version__
    yield 'Python', f'{platform.python_version()} ({sys.platform}, {platform.machine()})'
    yield 'CPUs', str(os.cpu_count())
    for name in DISTRIBUTIONS:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, describe in DESCRIPTIONS.items():
        try:
            yield name, describe()
        except InstallError as error:
            yield name, str(error)
        except Exception as error:
            yield name, f'not available ({type(error).__name__}: {error})'


def _installation() -> str:
    from lighthead.compat.install_check import check_install

    check_install()
    return 'complete'


def _threads() -> str:
    import torch

    return f'{torch.get_num_threads()} of torch'


def _gpus() -> str:
    import torch

    count = torch.cuda.device_count()
    names = ', '.join(torch.cuda.get_device_name(index) for index in range(count))
    built = f'torch is built for CUDA {torch.version.cuda}' if torch.version.cuda else 'CPU build'
    return f'{names or "none"} ({built})'


def _mmcv_operators() -> str:
    from lighthead.compat.mmcv_ops import TorchvisionExtension

    extension = importlib.import_module('mmcv._ext')
    if isinstance(extension, TorchvisionExtension):
        return "torchvision's (mmcv has no compiled ones)"
    return 'compiled'


def _onnxruntime() -> str:
    return ', '.join(importlib.import_module('onnxruntime').get_available_providers())


def _openvino() -> str:
    return ', '.join(importlib.import_module('openvino').Core().available_devices)


DESCRIPTIONS: dict[str, Callable[[], str]] = {
    'installation': _installation,
    'CPU threads': _threads,
    'GPUs': _gpus,
    'operators of mmcv': _mmcv_operators,
    'ONNX Runtime runs on': _onnxruntime,
    'OpenVINO runs on': _openvino,
}
