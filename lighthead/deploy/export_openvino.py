"""The whole detector as an OpenVINO file (.xml with .bin), by way of ONNX."""

from pathlib import Path
from typing import TYPE_CHECKING

from lighthead.deploy import seal
from lighthead.deploy.export_onnx import add_metadata
from lighthead.deploy.metadata import ExportMeta
from lighthead.errors import missing_extra
from lighthead.files import write_bytes_file

if TYPE_CHECKING:
    from onnx import ModelProto
    from openvino import Model


def openvino_model(onnx_model: 'ModelProto', meta: ExportMeta, folder: Path) -> 'Model':
    """Convert an :class:`onnx.ModelProto`; the answer is an :class:`openvino.Model`.

    Args:
        onnx_model: The graph.
        meta: Its metadata.
        folder: For a temporary file.

    Raises:
        UserError: openvino is not installed.
    """
    try:
        import openvino as ov
    except ImportError as error:
        raise missing_extra('openvino', 'openvino') from error
    import onnx

    add_metadata(onnx_model, meta)
    source = folder / 'detector.onnx'
    onnx.save(onnx_model, str(source))
    model = ov.Core().read_model(source)
    for key, value in meta.to_strings().items():
        model.set_rt_info(value, ['lighthead', key])
    return model


def save_openvino(model: 'Model', path: Path) -> None:
    """Write both files with a checksum; weights stay in float32, so that fp32 is what it says."""
    import openvino as ov

    model.set_rt_info(seal.EMPTY, ['lighthead', seal.KEY])
    ov.save_model(model, str(path), compress_to_fp16=False)
    weights = path.with_suffix('.bin').read_bytes()
    write_bytes_file(seal.sealed(path.read_bytes(), weights), path)
