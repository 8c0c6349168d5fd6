"""The C++ example: its sizes against Python's, and the whole of it where its libraries are."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import Detector
from lighthead.inference.preprocess import Preprocess

from ..small_detector import CLASSES

FOLDER = Path(__file__).resolve().parents[2] / 'docs' / 'deploy'
COMPILER = shutil.which('g++') or shutil.which('c++')
PRINT_SIZES = """
#include <iostream>
#include "preprocess.hpp"
int main(int argc, char** argv) {
  const Preprocess p = parse_preprocess(argv[1]);
  std::cout << p.swap_channels << " " << p.mean[2] << " " << p.deviation[0] << "\\n";
  for (int i = 2; i + 1 < argc; i += 2) {
    const Size size = resized(p, {std::atoi(argv[i]), std::atoi(argv[i + 1])});
    const Size input = padded(p, size);
    std::cout << size.height << " " << size.width << " " << input.height << " " << input.width
              << "\\n";
  }
}
"""
SIZES = [(480, 640), (641, 427), (1, 900), (333, 500), (2000, 30), (416, 416)]

needs_compiler = pytest.mark.skipif(COMPILER is None, reason='no C++ compiler is installed')


@pytest.fixture(scope='module')
def program(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('cpp')
    (folder / 'sizes.cpp').write_text(PRINT_SIZES)
    flags = ['-std=c++17', '-Wall', '-Werror', f'-I{FOLDER}']
    command = [COMPILER, *flags, str(folder / 'sizes.cpp'), '-o', str(folder / 'sizes')]
    subprocess.run(command, check=True, timeout=300)
    return folder / 'sizes'


@needs_compiler
@pytest.mark.parametrize(
    'preprocess',
    [
        Preprocess((1333, 800), True, "bilinear", (123.7, 116.3, 103.5), (58.0, 57, 56), True, 32),
        Preprocess((416, 416), True, 'area', (0.0, 0, -1.5), (255.0, 255, 255), False, 32),
        Preprocess((320, 256), False, pad_divisor=64),
        Preprocess(None),
    ],
)  # fmt: skip
def test_sizes_and_numbers(program, preprocess):
    text = json.dumps(preprocess.to_dict(), sort_keys=True)
    numbers = [str(side) for size in SIZES for side in size]
    printed = subprocess.run(
        [program, text, *numbers], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    swap, mean, deviation = printed[0].split()
    assert swap == str(int(preprocess.swap_channels))
    assert float(mean) == pytest.approx(preprocess.mean[2], rel=1e-5)
    assert float(deviation) == pytest.approx(preprocess.std[0], rel=1e-5)
    for size, line in zip(SIZES, printed[1:], strict=True):
        expected = (*preprocess.resized_size(size), *preprocess.padded_size(size))
        assert tuple(map(int, line.split())) == expected


def flags_of(package: str) -> list[str]:
    """What pkg-config says of a library; nothing where it is not installed."""
    if shutil.which('pkg-config') is None:
        return []
    command = ['pkg-config', '--cflags', '--libs', package]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []


def wheel_library() -> Path | None:
    """The library of ONNX Runtime inside the Python package."""
    spec = importlib.util.find_spec('onnxruntime')
    folder = Path(spec.origin).parent / 'capi' if spec else Path()
    return next(folder.glob('libonnxruntime.so*'), None)


def onnxruntime_flags(folder: Path) -> list[str]:
    """ONNX Runtime of Debian, or headers in $ORT_INCLUDE with the library of the Python package,
    which needs its soname in ``folder``."""
    if 'ORT_INCLUDE' not in os.environ or wheel_library() is None:
        return flags_of('libonnxruntime')
    library = folder / 'libonnxruntime.so.1'
    library.symlink_to(wheel_library())
    return [f'-I{os.environ["ORT_INCLUDE"]}', str(library), f'-Wl,-rpath,{folder}']


OPENCV = flags_of('opencv4')
HEADERS = 'ORT_INCLUDE' in os.environ or flags_of('libonnxruntime')


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(not OPENCV, reason='libopencv-dev is not installed')
@pytest.mark.skipif(
    not HEADERS, reason='libonnxruntime-dev is not installed, and $ORT_INCLUDE not set'
)
def test_the_same_boxes_as_python(exported, tmp_path):
    program = tmp_path / 'detect'
    libraries = [*OPENCV, *onnxruntime_flags(tmp_path)]
    command = [COMPILER, '-std=c++17', str(FOLDER / 'detect.cpp'), *libraries]
    subprocess.run([*command, '-o', program], check=True, timeout=600)
    path, photo = exported('onnx'), tmp_path / 'photo.png'
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(photo), cv2.resize(image, (333, 211)))
    expected = Detector(path, score_thr=0.3)(photo)
    printed = subprocess.run(
        [program, path, photo], check=True, capture_output=True, text=True, timeout=120
    ).stdout.splitlines()
    assert json.loads(printed[0].removeprefix('classes: ')) == CLASSES
    found = [[float(word.strip('[],')) for word in line.split()] for line in printed[1:]]
    assert len(found) == len(expected) > 1
    labels, scores, boxes = np.split(np.array(found), [1, 2], axis=1)
    assert labels[:, 0].tolist() == expected.labels.tolist()
    np.testing.assert_allclose(scores[:, 0], expected.scores, atol=1e-3)
    np.testing.assert_allclose(boxes, expected.boxes, atol=0.5)
