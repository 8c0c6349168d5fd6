"""Detect objects with an exported ONNX file, without torch and lighthead.

pip install numpy onnxruntime opencv-python-headless
python detect.py model.onnx photo.jpg [least score]
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

INTERPOLATIONS = dict(
    nearest=cv2.INTER_NEAREST,
    bilinear=cv2.INTER_LINEAR,
    bicubic=cv2.INTER_CUBIC,
    area=cv2.INTER_AREA,
    lanczos=cv2.INTER_LANCZOS4,
)


def resized(image: np.ndarray, preprocess: dict) -> np.ndarray:
    """A BGR image (H, W, 3) at the size that the metadata asks for."""
    scale = preprocess['scale']
    if scale is None:
        return image
    height, width = image.shape[:2]
    if preprocess['keep_ratio']:
        longer, shorter = max(scale), min(scale)
        factor = min(longer / max(height, width), shorter / min(height, width))
        size = max(int(width * factor + 0.5), 1), max(int(height * factor + 0.5), 1)
    else:
        size = tuple(scale)
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=INTERPOLATIONS[preprocess['interpolation']])


def network_input(image: np.ndarray, preprocess: dict) -> np.ndarray:
    """Normalised planes (1, 3, H, W), padded with zeros at the bottom and on the right."""
    pixels = image[..., ::-1] if preprocess['swap_channels'] else image
    mean, std = (np.array(preprocess[name], np.float32) for name in ('mean', 'std'))
    planes = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)
    divisor = preprocess['pad_divisor']
    rest = [(-side) % divisor for side in planes.shape[1:]]
    return np.pad(planes, ((0, 0), (0, rest[0]), (0, rest[1])))[None]


def detect(model: str, photo: str, least_score: float) -> list[tuple[str, float, list[float]]]:
    """Name, score and box (x1, y1, x2, y2 in pixels of the photo) of each object, best first."""
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    about = session.get_modelmeta().custom_metadata_map
    classes, preprocess = json.loads(about['classes']), json.loads(about['preprocess'])
    image = cv2.imread(photo)
    small = resized(image, preprocess)
    inputs = dict(
        images=network_input(small, preprocess),
        sizes=np.array([small.shape[:2]], np.float32),
    )
    boxes, scores, labels, num = (values[0] for values in session.run(None, inputs))
    factors = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]] * 2)
    return [
        (classes[labels[i]], float(scores[i]), (boxes[i] * factors).tolist())
        for i in range(num)
        if scores[i] >= least_score
    ]


if __name__ == '__main__':
    least = float(sys.argv[3]) if len(sys.argv) > 3 else 0.3
    for name, score, box in detect(sys.argv[1], sys.argv[2], least):
        print(f'{name} {score:.3f} [{", ".join(f"{side:.1f}" for side in box)}]')
