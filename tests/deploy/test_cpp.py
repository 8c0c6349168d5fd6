"""The C++ example: its sizes against Python's, and the whole of it where its libraries are."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import Detector
from lighthead.inference.preprocess import Preprocess

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


def has_libraries() -> bool:
    """Whether pkg-config knows OpenCV and ONNX Runtime (Debian: libopencv-dev,
    libonnxruntime-dev)."""
    command = ['pkg-config', '--exists', 'opencv4', 'libonnxruntime']
    return shutil.which('pkg-config') is not None and subprocess.run(command).returncode == 0


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(not has_libraries(), reason='libopencv-dev or libonnxruntime-dev is missing')
def test_the_same_boxes_as_python(exported, tmp_path):
    flags = subprocess.run(
        ['pkg-config', '--cflags', '--libs', 'opencv4', 'libonnxruntime'],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    program = tmp_path / 'detect'
    source = str(FOLDER / 'detect.cpp')
    subprocess.run([COMPILER, '-std=c++17', source, *flags, '-o', program], check=True, timeout=600)
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    photo = tmp_path / 'photo.png'
    cv2.imwrite(str(photo), image)
    path = exported('onnx')
    printed = subprocess.run(
        [program, path, photo], check=True, capture_output=True, text=True, timeout=120
    ).stdout.splitlines()
    expected = Detector(path, score_thr=0.3)(photo)
    assert len(printed) == 1 + len(expected.scores) > 1
    for line, label, score in zip(printed[1:], expected.labels, expected.scores, strict=True):
        assert int(line.split()[0]) == label
        assert float(line.split()[1]) == pytest.approx(score, abs=1e-3)
