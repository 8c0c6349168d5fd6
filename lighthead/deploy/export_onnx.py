"""The whole detector as an ONNX file of standard operators."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy import seal
from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.deploy.metadata import INPUTS, OUTPUTS, ExportMeta, dense_outputs
from lighthead.deploy.stages import DetectorStages
from lighthead.errors import UserError, missing_extra
from lighthead.files import write_bytes_file

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
STANDARD_DOMAINS = ('', 'ai.onnx')
EXAMPLE = (2, 3, 192, 256)
"""Shape of the batch that the export traces; the file takes any."""


def onnx_program(model: BaseDetector) -> 'ModelProto':
    """Trace a detector; the answer is an :class:`onnx.ModelProto`.

    Raises:
        UserError: onnx is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript
    except ImportError as error:
        raise missing_extra('onnx', 'export') from error
    module = exportable_detector(model, 'onnx').cpu()
    maps = dense_outputs(len(module.candidates.levels))
    height, width = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    batch = torch.export.Dim.DYNAMIC
    with quiet():
        program = torch.onnx.export(
            _WithMaps(module),
            example_inputs(),
            input_names=list(INPUTS),
            output_names=[*OUTPUTS, *maps],
            dynamic_shapes=({0: batch, 2: height, 3: width}, {0: batch}),
            custom_translation_table={
                torch.ops.lighthead.suppress.default: _suppression(onnxscript)
            },
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    assert program is not None  # only the exporter before torch.export's returns nothing
    return _tidy(program.model_proto)


class _WithMaps(nn.Module):
    """The dense maps are outputs too, so that the exporter gives them their names."""

    def __init__(self, detector: DetectorStages) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        maps = self.detector.dense_maps(images)
        outputs = self.detector.detect_in(maps, sizes)
        detections = (outputs.boxes, outputs.scores, outputs.labels, outputs.num)
        return (*detections, *maps.scores, *maps.boxes, maps.thin)


def example_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """A batch to trace with."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(EXAMPLE, generator=generator)
    height, width = EXAMPLE[2:]
    return images, torch.tensor([[height, width - 20.0], [height - 32.0, width]])


def _suppression(onnxscript: ModuleType) -> Callable[..., Any]:
    """``lighthead::suppress`` as ONNX's NonMaxSuppression, whose boxes may have either order
    of the axes, as long as it is the same for both corners."""
    op = onnxscript.values.Opset('', OPSET)

    # The exporter takes parameters with a type for attributes, and others for inputs.
    def suppress(  # type: ignore[no-untyped-def]
        boxes, scores, max_num: int, iou_threshold: float, score_thr
    ):
        return op.NonMaxSuppression(
            boxes,
            scores,
            op.Constant(value_ints=[max_num]),
            op.Constant(value_floats=[iou_threshold]),
            score_thr,
        )

    return suppress


def _tidy(model: 'ModelProto') -> 'ModelProto':
    """Leave the detections as the only outputs, and drop the exporter's notes."""
    del model.graph.output[len(OUTPUTS) :]
    del model.graph.value_info[:]  # shapes that every runtime infers by itself
    for holder in (model, model.graph, *model.graph.node, *model.graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ''
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    images, sizes = model.graph.input
    for value, names in ((images, ('batch', '', 'height', 'width')), (sizes, ('batch', ''))):
        for size, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            if name:
                size.dim_param = name
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    # The batch size is read from the small input: OpenVINO would ask the first convolution for
    # it, and then not fuse that one with what follows (6 % of all its time).
    for node in model.graph.node:
        first = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == 'Shape' and node.input[0] == 'images' and first.get('end') == 1:
            node.input[0] = 'sizes'
    return model


def add_metadata(model: 'ModelProto', meta: ExportMeta) -> None:
    """Write the metadata into an :class:`onnx.ModelProto`."""
    del model.metadata_props[:]
    model.producer_name, model.producer_version = 'lighthead', meta.version
    for key, value in meta.to_strings().items():
        model.metadata_props.add(key=key, value=value)


def foreign_domains(model: 'ModelProto') -> list[str]:
    """Domains of operators that are not in the ONNX standard, of all subgraphs and functions."""
    domains = {entry.domain for entry in model.opset_import}
    graphs = [model.graph]
    while graphs:
        for node in graphs.pop().node:
            domains.add(node.domain)
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField('g') else []
                graphs += attribute.graphs
    domains |= {function.domain for function in model.functions}
    return sorted(domains - set(STANDARD_DOMAINS))


def save_onnx(model: 'ModelProto', path: Path) -> None:
    """Check an :class:`onnx.ModelProto` and write it with a checksum."""
    import onnx

    if domains := foreign_domains(model):
        raise UserError(f'The graph has operators outside the ONNX standard: {", ".join(domains)}.')
    onnx.checker.check_model(model, full_check=True)
    model.metadata_props.add(key=seal.KEY, value=seal.EMPTY)
    write_bytes_file(seal.sealed(model.SerializeToString()), path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter prints its progress, and warns about what concerns its makers."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
