"""Export: the whole detector as one file for ONNX Runtime, OpenVINO or torch.export."""

from lighthead.deploy.exportable import ExportableDetector

__all__ = ['ExportableDetector']
