"""Export of a checkpoint (what ``lighthead export`` does): write, check, and say what it costs."""

import tempfile
from argparse import Namespace
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from mmdet.models.detectors import BaseDetector

import lighthead
from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.check_export import check_export, compared, require_agreement
from lighthead.deploy.export_onnx import OPSET, add_metadata, onnx_program, save_onnx
from lighthead.deploy.metadata import SIZE_DIVISOR, ExportMeta, file_parts
from lighthead.deploy.model_settings import read_settings
from lighthead.deploy.ncnn_names import SUFFIX as NCNN_SUFFIX
from lighthead.errors import UserError
from lighthead.evaluation.accuracy import Measured, measure, validation_split
from lighthead.files import clean_leftovers, put_in_place, temporary_folder
from lighthead.inference.calibration import calibration_inputs
from lighthead.inference.detector import Detector
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.exported import open_exported
from lighthead.zoo import locate_model

if TYPE_CHECKING:
    from onnx import ModelProto

FORMATS = {'onnx': '.onnx', 'openvino': '.xml', 'ncnn': NCNN_SUFFIX, 'torch': '.pt2'}
"""Formats and their suffixes."""
WITH_OPSET = ('onnx', 'openvino')
"""Formats that come from an ONNX graph, and can be quantised."""
ENOUGH = 20
"""Fewer detections are too few to compare a file by."""
ACCEPTED_LOSS = 0.01
"""A larger loss of AP (0..1) by INT8 is called out."""


def export(options: Namespace) -> Path:
    """Write the file, check it against torch, and for INT8 measure AP and speed.

    Returns:
        The file.

    Raises:
        UserError: an option does not fit, a package is missing, or the file's
            answers differ from torch's; then nothing is left behind.
    """
    out = _checked_out(options)
    options.checkpoint = str(locate_model(options.checkpoint))
    model, meta = load_for_export(options)
    clean_leftovers(out.parent)
    with temporary_folder(out) as folder:
        written = write_export(model, meta, options.format, folder)
        check_against_torch(written, model, meta, options.format)
        if options.int8:
            float_file = written
            written = _write_int8(options, model, meta, folder)
            _report_int8(options, float_file, written)
        _move(written, out)
    precision = 'int8' if options.int8 else 'fp32'
    opset = f', opset {OPSET}' if options.format == 'onnx' else ''
    size = sum(path.stat().st_size for path in file_parts(out)) / 2**20
    print(
        f'{out}: {options.format}{opset}, {precision}, {size:.1f} MiB, {len(meta.classes)} classes'
    )
    return out


def load_for_export(options: Namespace) -> tuple[BaseDetector, ExportMeta]:
    """Build the detector of a checkpoint with the thresholds to export, and its metadata."""
    checkpoint = load_checkpoint_file(options.checkpoint, trust=options.trust_checkpoint)
    specification = read_specification(checkpoint['meta'], options.checkpoint)
    preprocess = specification.preprocess
    if preprocess.pad_value or preprocess.pad_divisor % SIZE_DIVISOR:
        raise UserError(
            f'data_preprocessor needs pad_value=0 and a pad_size_divisor that {SIZE_DIVISOR} '
            f'divides for export, not {preprocess.pad_value:g} and {preprocess.pad_divisor}.'
        )
    specification = specification.with_test_settings(options.score_thr, options.nms_pre)
    model = build_detector(specification, checkpoint['state_dict'], options.checkpoint)
    meta = ExportMeta(
        classes=specification.classes,
        category_ids=specification.category_ids,
        preprocess=preprocess,
        settings=read_settings(model),
        version=lighthead.__version__,
        opset=OPSET if options.format in WITH_OPSET else 0,
    )
    return model, meta


def write_export(model: BaseDetector, meta: ExportMeta, name: str, folder: Path) -> Path:
    """Write the fp32 file of a format into ``folder``."""
    path = folder / f'detector_fp32{FORMATS[name]}'
    if name == 'torch':
        from lighthead.deploy.export_torch import save_torch, torch_program

        save_torch(torch_program(model), meta, path)
        return path
    if name == 'ncnn':
        from lighthead.deploy.export_ncnn import save_ncnn

        save_ncnn(model, meta, path)
        return path
    _save(onnx_program(model), meta, name, path)
    return path


def _save(graph: 'ModelProto', meta: ExportMeta, name: str, path: Path) -> None:
    """Write an ONNX graph in a format."""
    if name == 'onnx':
        add_metadata(graph, meta)
        save_onnx(graph, path)
    else:
        from lighthead.deploy.export_openvino import openvino_model, save_openvino

        save_openvino(openvino_model(graph, meta, path.parent), path)


def check_against_torch(written: Path, model: BaseDetector, meta: ExportMeta, name: str) -> None:
    """Compare a file of a format with torch, and print what was compared.

    Where too few detections lie above its thresholds, a copy without thresholds is compared.

    Raises:
        UserError: they do not agree, or there is nothing to compare.
    """
    results = check_export(model, open_exported(written, trust=True)[0])
    if compared(results) < ENOUGH:
        print(
            f'only {compared(results)} detections lie above the thresholds: comparing a copy of '
            'the file without thresholds'
        )
        model = without_thresholds(model)
        with tempfile.TemporaryDirectory(dir=written.parent) as folder:
            copy = write_export(model, meta, name, Path(folder))
            results = check_export(model, open_exported(copy, trust=True)[0], least_score=0.0)
    for case, result in results.items():
        print(f'{case}: {result}')
    require_agreement(results, f'The exported {name} file')
    print(f'{compared(results)} detections compared with torch')


def without_thresholds(model: BaseDetector) -> BaseDetector:
    """A copy of a detector that keeps the best detections, whatever their scores."""
    model = deepcopy(model)
    for name in ('rpn', 'rcnn'):
        if 'score_thr' in model.test_cfg[name]:
            model.test_cfg[name].score_thr = 0.0
    return model


def _write_int8(options: Namespace, model: BaseDetector, meta: ExportMeta, folder: Path) -> Path:
    from lighthead.deploy.quantise import quantise
    from lighthead.deploy.quantise_onnxruntime import quantise_onnx

    inputs = list(
        calibration_inputs(
            options.calib, Preprocess.from_settings(meta.preprocess), options.calib_images
        )
    )
    print(f'INT8: calibrating on {len(inputs)} images of {options.calib}', flush=True)
    meta = meta.changed(precision='int8')
    path = folder / f'detector_int8{FORMATS[options.format]}'
    graph = onnx_program(model)
    if options.format == 'onnx':
        graph = quantise_onnx(graph, folder, inputs)
    else:
        graph = quantise(graph, inputs)
    _save(graph, meta, options.format, path)
    return path


def _report_int8(options: Namespace, float_file: Path, int8_file: Path) -> None:
    """Print what INT8 costs in AP and brings in speed."""
    split = validation_split(options.data_root)
    detectors = {
        'fp32': Detector(float_file, score_thr=0.0),
        'int8': Detector(int8_file, score_thr=0.0),
    }
    measured = measure(detectors, split, options.eval_images)
    print('\n'.join(int8_report(measured['fp32'], measured['int8'])))


def int8_report(fp32: Measured, int8: Measured) -> list[str]:
    """The lines about AP and speed; a loss above one point is called out."""
    loss = fp32.ap - int8.ap
    lines = [
        f'fp32: AP {fp32.ap:.4f}, AP50 {fp32.ap_50:.4f}, {fp32.seconds * 1e3:.1f} ms per image',
        f'int8: AP {int8.ap:.4f}, AP50 {int8.ap_50:.4f}, {int8.seconds * 1e3:.1f} ms per image',
        f'INT8 loses {loss * 100:.2f} AP points and is {fp32.seconds / int8.seconds:.2f} times as '
        'fast',
    ]
    if loss > ACCEPTED_LOSS:
        lines.append(
            f'WARNING: INT8 loses {loss * 100:.2f} AP points, more than '
            f'{ACCEPTED_LOSS * 100:g}: calibrate on images that look like those to come, or '
            'stay with fp32 or bf16.'
        )
    return lines


def _checked_out(options: Namespace) -> Path:
    out, suffix = Path(options.out), FORMATS[options.format]
    if not out.name.lower().endswith(suffix):
        raise UserError(f'--out {out} has to end in {suffix} for --format {options.format}.')
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f'--out {out} is a folder, or lies in one that does not exist.')
    if options.int8:
        if options.format not in WITH_OPSET:
            raise UserError('--int8 needs --format onnx or openvino.')
        if not options.calib or not options.data_root:
            raise UserError(
                '--int8 needs --calib (a folder of typical images) and --data-root (a data set '
                'in COCO layout, on which the loss of AP is measured).'
            )
        if not Path(options.calib).is_dir():
            raise UserError(f'--calib {options.calib} is no folder.')
        validation_split(options.data_root)
    elif options.calib:
        raise UserError('--calib is only for --int8.')
    return out


def _move(source: Path, out: Path) -> None:
    """Put an export in its place. Of several files, the one that is opened comes last, and that
    of an earlier export goes first: at any moment there is a whole export, or none."""
    pairs = list(zip(file_parts(source), file_parts(out), strict=True))
    if len(pairs) > 1:
        out.unlink(missing_ok=True)
    for old, new in reversed(pairs):
        put_in_place(old, new)
