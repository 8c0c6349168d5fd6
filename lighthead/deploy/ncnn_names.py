"""How the tensors of an exported ncnn network are called, and what its metadata has besides."""

SUFFIX = '.ncnn.param'
CODINGS = 'codings'
"""Key of the box codings among the metadata."""
IMAGES, POOLED = 'images', 'pooled'
"""Inputs: (3, H, W), and pooled RoIs (K, bins * C)."""
HEAD_OUTPUTS = ('logits', 'deltas')
"""Outputs for pooled RoIs; those for images are called as in ONNX files."""
