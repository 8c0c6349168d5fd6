"""The exported files of a small detector, made once."""

import importlib.util
from pathlib import Path

import pytest
from mmdet.models.detectors import BaseDetector

from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.commands.export_job import load_for_export, write_export
from lighthead.deploy.metadata import ExportMeta
from lighthead.deploy.model_settings import read_settings

from ..command_line import parse
from ..small_detector import small_config, write_checkpoint

NEEDS = {
    'onnx': ('onnx', 'onnxscript', 'onnxruntime'),
    'openvino': ('onnx', 'openvino'),
    'ncnn': ('pnnx', 'ncnn'),
}


def missing_for(name: str) -> list[str]:
    """Packages that a format needs and that are not installed."""
    return [p for p in NEEDS.get(name, ()) if importlib.util.find_spec(p) is None]


def need(name: str) -> None:
    """Skip the test where the packages of a format are not installed."""
    if missing := missing_for(name):
        extra = next((name for name in ('openvino', 'ncnn') if name in missing), 'export')
        pytest.skip(f"{', '.join(missing)} not installed: pip install 'lighthead[{extra}]'")


def write_all(model: BaseDetector, folder: Path) -> list[tuple[Path, str, str]]:
    """A model in every format that is installed here: (file, backend, precision)."""
    count = model.roi_head.bbox_head.num_classes
    meta = ExportMeta(
        classes=[f'class {label}' for label in range(count)],
        category_ids=list(range(count)),
        preprocess=PreprocessSettings(scale=(160, 128), pad_divisor=32),
        settings=read_settings(model),
    )
    files = []
    backends = dict(onnx='onnxruntime', openvino='openvino', ncnn='ncnn', torch='torch')
    for name, backend in backends.items():
        if not missing_for(name):
            path = write_export(model, meta, name, folder)
            files.append((path, backend, 'fp32'))
            if backend == 'openvino' and has_bf16():
                files.append((path, backend, 'bf16'))
    return files


def has_bf16() -> bool:
    """Whether OpenVINO has bf16 on this processor."""
    import openvino

    return 'BF16' in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory) -> Path:
    """The checkpoint that is exported."""
    return write_checkpoint(small_config(), tmp_path_factory.mktemp('export') / 'detector.pth')


@pytest.fixture(scope='session')
def detector_model(checkpoint) -> BaseDetector:
    """Its model."""
    return load_for_export(parse('export', checkpoint, out='unused.onnx'))[0]


@pytest.fixture(scope='session')
def exported(checkpoint, tmp_path_factory):
    """``exported(format)``: the checkpoint in that format, written once."""
    files = {}

    def get(name: str) -> Path:
        need(name)
        if name not in files:
            model, meta = load_for_export(parse('export', checkpoint, format=name, out='unused'))
            files[name] = write_export(model, meta, name, tmp_path_factory.mktemp(name))
        return files[name]

    return get
