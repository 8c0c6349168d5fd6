"""The detector as plain tensors and as files for ONNX Runtime, OpenVINO or torch.export."""

from lighthead.deploy.exportable_suppression import exportable_detector

__all__ = ['exportable_detector']
