"""Images in tiles: where they lie, and each object once, whatever borders cross it."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest

from lighthead import Detector
from lighthead.errors import UserError
from lighthead.inference import detector as detector_module
from lighthead.inference import large_images
from lighthead.inference.images import ImageError
from lighthead.inference.large_images import LargeImage
from lighthead.inference.merging import Found, merge
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel, RawDetections
from lighthead.inference.runtimes.files import contiguous_batch
from lighthead.inference.tiles import Tiling, make_tiling

rasterio = pytest.importorskip('rasterio', reason='rasterio is not installed: the extra large')


class RectangleBackend:
    """Finds bright rectangles of at least ``least`` pixels in width and height, exactly."""

    device, best_batch_size = 'cpu', 2
    make_batch = staticmethod(contiguous_batch)

    def __init__(self, least: int = 3) -> None:
        self.least, self.sizes = least, []

    def __call__(self, batch, sizes, score_thr=0.0):
        self.sizes += sizes
        return [self._detect(image[0, :h, :w]) for image, (h, w) in zip(batch, sizes, strict=True)]

    def _detect(self, pixels) -> RawDetections:
        _, _, stats, _ = cv2.connectedComponentsWithStats((pixels > 127).astype(np.uint8))
        stats = stats[1:][(stats[1:, 2:4] >= self.least).all(axis=1)]
        boxes = np.float32(stats[:, :4])
        boxes[:, 2:] += boxes[:, :2]
        return RawDetections(boxes, np.float32(0.5 + stats[:, 4] / 1e6), np.zeros(len(boxes), int))


@pytest.fixture
def backend(monkeypatch):
    backend = RectangleBackend()
    opened = OpenedModel(backend, Preprocess((100, 100)), ['thing'], [1], 0.5)
    monkeypatch.setattr(detector_module, 'open_model', lambda *_: opened)
    return backend


RECTANGLES = [
    (10, 10, 20, 22),  # within a tile
    (85, 30, 110, 45),  # across a border
    (60, 76, 78, 120),
    (150, 150, 171, 166),  # across a corner
    (190, 20, 340, 50),  # longer than a tile
    (20, 200, 60, 380),
    (385, 390, 400, 400),  # in the image's corner
]


def image_of(rectangles, size=(400, 400)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    for x1, y1, x2, y2 in rectangles:
        image[y1:y2, x1:x2] = 255
    return image


def boxes_of(detections) -> list[tuple]:
    return sorted(tuple(map(round, map(float, box))) for box in detections.boxes)


def assert_found(detections, rectangles) -> None:
    """Each once; within the 4 pixels of the image that are one of the whole's reduced copy."""
    boxes = boxes_of(detections)
    assert len(boxes) == len(rectangles)
    for box in boxes:
        assert min(np.abs(np.subtract(box, other)).max() for other in rectangles) <= 4, box


@pytest.mark.parametrize('size', [(100, 100), (101, 400), (333, 87), (50, 30)])
@pytest.mark.parametrize('overlap', [0, 0.2, 0.5])
def test_tiles_cover_the_image_and_overlap(size, overlap):
    regions, seen = Tiling(100, overlap).regions(size), np.zeros(size, int)
    for region in regions:
        seen[region.y1 : region.y2, region.x1 : region.x2] += 1
        assert region.size == (min(100, size[0]), min(100, size[1]))
    assert seen.min() == 1
    starts = sorted({region.x1 for region in regions})
    assert all(b - a <= 100 * (1 - overlap) for a, b in itertools.pairwise(starts))
    assert max(region.x2 for region in regions) == size[1]


@pytest.mark.parametrize('overlap', [0.2, 0.4])
@pytest.mark.parametrize('batch_size', [1, 5])
def test_objects_across_borders_are_found_once(backend, overlap, batch_size):
    backend.least = 8  # the whole image, at a quarter of its size, shows the long ones alone
    detector = Detector('m.onnx', tile=100, overlap=overlap, batch_size=batch_size)
    image = image_of(RECTANGLES)
    assert_found(detector(image), RECTANGLES)
    assert len(backend.sizes) == 1 + len(detector.tiling.regions((400, 400)))
    assert len(boxes_of(Detector('m.onnx')(image))) < len(RECTANGLES)


def test_neighbours_of_one_class_stay_two(backend):
    pair = [(85, 30, 97, 60), (98, 30, 112, 60), (85, 61, 97, 90)]
    backend.least = 8
    assert boxes_of(Detector('m.onnx', tile=100)(image_of(pair))) == sorted(pair)


def test_an_image_no_larger_than_a_tile_is_seen_once(backend):
    detector = Detector('m.onnx', tile=400)
    detector([image_of(RECTANGLES)] * 2)
    assert backend.sizes == [(100, 100)] * 2


def found(*rows) -> Found:
    """Rows of (box, score, label, region)."""
    boxes, scores, labels, regions = zip(*rows, strict=True)
    return Found(np.float32(boxes), np.float32(scores), np.array(labels), np.float32(regions))


LEFT, RIGHT, WHOLE = (0, 0, 100, 100), (80, 0, 180, 100), (0, 0, 180, 100)


@pytest.mark.parametrize(
    ('rows', 'expected'),
    [
        # halves that overlap by a sixth of their width
        (
            [((40, 10, 100, 40), 0.6, 0, LEFT), ((80, 10, 140, 40), 0.8, 0, RIGHT)],
            [((40, 10, 140, 40), 0.8)],
        ),
        # a part of what the whole image shows
        (
            [((40, 10, 100, 40), 0.9, 0, LEFT), ((41, 9, 170, 40), 0.4, 0, WHOLE)],
            [((41, 9, 170, 40), 0.4)],
        ),
        # the same object whole in a tile and in the whole image: the better one
        (
            [((10, 10, 40, 40), 0.9, 0, LEFT), ((11, 9, 41, 40), 0.4, 0, WHOLE)],
            [((10, 10, 40, 40), 0.9)],
        ),
        # other classes, and boxes of one region, are left alone
        (
            [((40, 10, 100, 40), 0.6, 0, LEFT), ((80, 10, 140, 40), 0.8, 1, RIGHT)],
            [((80, 10, 140, 40), 0.8), ((40, 10, 100, 40), 0.6)],
        ),
        (
            [((10, 10, 40, 40), 0.9, 0, LEFT), ((11, 9, 41, 40), 0.4, 0, LEFT)],
            [((10, 10, 40, 40), 0.9), ((11, 9, 41, 40), 0.4)],
        ),
        # a small object in front of a large one, both whole
        (
            [((85, 20, 95, 40), 0.5, 0, LEFT), ((30, 5, 160, 95), 0.9, 0, WHOLE)],
            [((30, 5, 160, 95), 0.9), ((85, 20, 95, 40), 0.5)],
        ),
    ],
)
def test_which_detections_are_one_object(rows, expected):
    merged = merge(found(*rows), (100, 180), 0.5)
    order = np.argsort(-merged.scores)
    assert merged.boxes[order].tolist() == [list(box) for box, _ in expected]
    assert merged.scores[order] == pytest.approx([score for _, score in expected])


@pytest.mark.parametrize(('tile', 'overlap'), [(31, 0.2), (100, -0.1), (100, 0.95), (0, 0.2)])
def test_tiles_that_cannot_be(tile, overlap):
    with pytest.raises(UserError, match=r'tile=|overlap='):
        make_tiling(tile, overlap)


def write_tiff(path, image, **settings) -> None:
    """RGB, in blocks or strips."""
    height, width, bands = image.shape
    settings = dict(dtype=image.dtype, compress='deflate') | settings
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=bands, **settings
    ) as file:
        file.write(image.transpose(2, 0, 1)[::-1])


@pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')
@pytest.mark.parametrize(
    'settings', [dict(tiled=True, blockxsize=64, blockysize=64), dict(tiled=False), dict(bits=16)]
)
def test_a_large_tiff_is_read_by_windows(backend, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(large_images, 'LARGE_IMAGE', 100_000)
    path, image = tmp_path / 'large.tif', image_of(RECTANGLES)
    image[..., 1] //= 2  # colours are in order
    pixels = image.astype(np.uint16) * 257 if settings.pop('bits', 8) == 16 else image
    write_tiff(path, pixels, **settings)
    detector = Detector('m.onnx', tile=100)
    backend.least = 8
    result = next(detector.stream([path]))
    assert result.image is None
    assert_found(result.detections, RECTANGLES)
    assert result.detections.image_size == (400, 400)
    large = LargeImage(path)
    assert (large.read((80, 20, 120, 60)) == image[20:60, 80:120]).all()
    assert large.read((0, 0, 400, 400), (40, 40)).shape == (40, 40, 3)


@pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')
def test_large_tiffs_that_cannot_be_used(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(large_images, 'LARGE_IMAGE', 100_000)
    image, detector = image_of(RECTANGLES), Detector('m.onnx', tile=100)
    write_tiff(tmp_path / 'float.tif', image.astype(np.float32))
    write_tiff(tmp_path / 'cut.tif', image + np.arange(400, dtype=np.uint8)[:, None])
    content = (tmp_path / 'cut.tif').read_bytes()
    (tmp_path / 'cut.tif').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.tif').write_text('no image')
    for name, message in [
        ('float.tif', '3 bands of float32: convert'),
        ('cut.tif', 'cannot be read'),
        ('text.tif', 'cannot be read'),
    ]:
        with pytest.raises(ImageError, match=message):
            detector(tmp_path / name)


def test_the_parts_are_not_all_in_memory(backend):
    """Tiles are made as the network takes them."""
    image = np.zeros((3000, 3000, 3), np.uint8)
    detector = Detector('m.onnx', tile=100)
    tracemalloc.start()
    detector(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(backend.sizes) > 1000
    assert peak < 10 * 2**20
