"""Tiles: what they find, what they cost, next to supervision's slicer; and a very large image.

    python benchmarks/tiling.py lighthead-people --data-root coco-people --tiles 320 240 160
    python benchmarks/tiling.py lighthead-people --data-root coco-people --tiles 240 --supervision
    python benchmarks/tiling.py model.onnx --large 20000 --tile 640

AP is COCO's, of the classes that detector and data set share. Times are processor milliseconds
per image, which other work on the machine disturbs less than wall time. The large image is a
generated TIFF in blocks, deflated; memory is the process's largest resident size.
"""

import argparse
import contextlib
import io
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lighthead import Detector
from lighthead.inference.images import read_image
from lighthead.inference.results import Detections
from lighthead.inference.tiles import Tiling

SCORE_THR = 0.01
ROWS = 500
"""Of the large image, so many rows are made at once."""


def load_coco(root: Path, classes: list[str]) -> tuple[COCO, list[int]]:
    """The validation set, and the category id of each of the detector's classes."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(next(root.glob('annotations/*val*.json')))
    ids = {category['name']: category['id'] for category in coco.dataset['categories']}
    return coco, [ids.get(name, -1) for name in classes]


def measure(
    coco: COCO, ids: list[int], root: Path, detect: Callable[[np.ndarray], Detections]
) -> tuple[list[float], float]:
    """AP, AP50, AP of small, medium and large objects; processor milliseconds per image."""
    results, seconds = [], 0.0
    folder = next(path for path in root.iterdir() if path.name.startswith('val'))
    for image in coco.dataset['images']:
        pixels = read_image(folder / image['file_name'])
        started = time.process_time()
        detections = detect(pixels)
        seconds += time.process_time() - started
        results += detections.to_coco(image['id'], ids)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(results), 'bbox')
        evaluation.params.catIds = [number for number in ids if number >= 0]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = [float(evaluation.stats[number]) for number in (0, 1, 3, 4, 5)]
    return figures, 1e3 * seconds / len(coco.dataset['images'])


def supervision_slicer(
    detector: Detector, tile: int, overlap: float
) -> Callable[[np.ndarray], Detections]:
    """The same detector on the tiles of supervision's slicer."""
    import supervision

    slicer = supervision.InferenceSlicer(
        lambda pixels: detector(pixels).to_supervision(),
        slice_wh=tile,
        overlap_wh=round(tile * overlap),
        iou_threshold=detector.iou_thr,
    )

    def detect(pixels: np.ndarray) -> Detections:
        found = slicer(pixels)
        size = pixels.shape[0], pixels.shape[1]
        none = np.zeros(0)  # where nothing was found
        scores = none if found.confidence is None else found.confidence
        labels = none if found.class_id is None else found.class_id
        return Detections.from_arrays(found.xyxy, scores, labels, detector.classes, size)

    return detect


def compare(args: argparse.Namespace) -> None:
    """Print a row per size of the tiles."""
    root = Path(args.data_root)
    plain = Detector(args.model, args.device, threads=1, score_thr=SCORE_THR)
    coco, ids = load_coco(root, plain.classes)
    print(f'{"tile":>20}     AP   AP50  small medium  large  ms')
    rows: list[tuple[str, Callable[[np.ndarray], Detections]]] = [('none', plain)]
    for tile in args.tiles:
        options = dict(tile=tile, overlap=args.overlap)
        tiled = Detector(args.model, args.device, threads=1, score_thr=SCORE_THR, **options)
        rows.append((str(tile), tiled))
        if args.supervision:
            slicer = supervision_slicer(plain, tile, args.overlap)
            rows.append((f'{tile}, supervision', slicer))
    for name, detect in rows:
        figures, milliseconds = measure(coco, ids, root, detect)
        print(f'{name:>20}', *(f'{value:6.3f}' for value in figures), f'{milliseconds:6.1f}')


def write_large(path: Path, side: int) -> None:
    """Noise of 32-pixel squares, so that something is there everywhere."""
    import rasterio

    rng = np.random.default_rng(0)
    settings = dict(height=side, width=side, count=3, dtype='uint8', compress='deflate')
    blocks = dict(tiled=True, blockxsize=256, blockysize=256, bigtiff='yes')
    with rasterio.open(path, 'w', driver='GTiff', **settings, **blocks) as file:
        for first in range(0, side, ROWS):
            rows = min(ROWS, side - first)
            noise = rng.integers(0, 256, (3, -(-rows // 32), -(-side // 32)), dtype=np.uint8)
            pixels = noise.repeat(32, 1).repeat(32, 2)[:, :rows, :side]
            file.write(pixels, window=((first, first + rows), (0, side)))


def resident() -> float:
    """The largest resident size so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_large(args: argparse.Namespace, path: Path) -> None:
    """Print the memory and the time of one image."""
    options = dict(tile=args.tile, overlap=args.overlap, batch_size=args.batch_size)
    detector = Detector(args.model, args.device, threads=1, **options)
    detector(np.zeros((args.tile, args.tile, 3), np.uint8))
    before, started = resident(), time.process_time()
    begun = time.monotonic()
    detections = detector(path)
    seconds, wall = time.process_time() - started, time.monotonic() - begun
    size = detections.image_size
    passes = 1 + len(Tiling(args.tile, args.overlap).regions(size))
    print(
        f'{size[1]} x {size[0]}: {passes} passes, '
        f'{len(detections)} detections, {seconds:.0f} s of a core, {wall:.0f} s; resident '
        f'{before:.0f} MiB before, {resident():.0f} MiB at most '
        f'(the image decoded: {3 * size[0] * size[1] / 2**20:.0f} MiB)'
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a model, a checkpoint, or an exported file')
    parser.add_argument('--data-root', help="a data set in COCO's layout")
    parser.add_argument('--tiles', type=int, nargs='+', default=[640], metavar='PIXELS')
    parser.add_argument('--overlap', type=float, default=0.2)
    parser.add_argument('--supervision', action='store_true', help='its slicer too')
    parser.add_argument('--large', metavar='SIDE_OR_FILE', help='a very large image instead')
    parser.add_argument('--write', type=Path, metavar='FILE', help='only write the large image')
    parser.add_argument('--tile', type=int, default=640, help='of the large image')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    if args.write:
        write_large(args.write, int(args.large))
    elif args.large and args.large.isdigit():
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / 'large.tif'
            write_large(path, int(args.large))
            measure_large(args, path)
    elif args.large:
        measure_large(args, Path(args.large))
    elif args.data_root:
        compare(args)
    else:
        parser.error('give --data-root or --large')


if __name__ == '__main__':
    main()
