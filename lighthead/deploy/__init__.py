"""The detector as plain tensors and as files for ONNX Runtime, OpenVINO or torch.export."""
