"""The journal in other formats, streamed: memory does not grow with the number of images."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from lighthead.errors import UserError
from lighthead.files import fitting_name, printable, replacing, write_bytes_file, write_text_file
from lighthead.inference.conversions import import_extra, to_json
from lighthead.inference.jobs.journal import is_result, read_journal
from lighthead.inference.jobs.names import UniqueNames

ROWS = 1000
"""Rows of a Parquet file that are held in memory."""
CSV_COLUMNS = ('path', 'frame', 'time', 'name', 'score', 'label', 'x1', 'y1', 'x2', 'y2')


def results(journal: Path) -> Iterator[dict]:
    """The images and frames of a journal."""
    return (record for record in read_journal(journal) if is_result(record))


def write_coco(journal: Path, out_dir: Path, job: dict) -> Path:
    """``predictions.json``: COCO's ``images``, ``categories`` and ``annotations``.

    Images are numbered from 1 in the order of the journal; a frame of a video is an image of
    its own. Annotations have a ``score``, so the file loads both in tools that read ground
    truth and, by its ``annotations``, as COCO results.
    """
    categories = [
        dict(id=number, name=name)
        for number, name in zip(category_ids(job), job['classes'], strict=True)
    ]
    path = out_dir / 'predictions.json'
    with replacing(path) as file:
        file.write(b'{"images":[')
        _write_list(_coco_images(journal), file)
        file.write(b'],"categories":' + to_json(categories).encode() + b',"annotations":[')
        _write_list(_coco_annotations(journal, category_ids(job)), file)
        file.write(b']}')
    return path


def category_ids(job: dict) -> list[int]:
    """COCO's id of each label: the data set's, or counted from 1 where it had none."""
    ids = job['category_ids']
    return list(range(1, len(ids) + 1)) if None in ids else ids


def _coco_images(journal: Path) -> Iterator[dict]:
    for number, record in enumerate(results(journal), start=1):
        image = dict(id=number, file_name=record['path'])
        keys = ('width', 'height', 'frame', 'time', 'drawing')
        yield image | {key: record[key] for key in keys if key in record}


def _coco_annotations(journal: Path, ids: list[int]) -> Iterator[dict]:
    number = 0
    for image_id, record in enumerate(results(journal), start=1):
        tracks = record.get('track_ids') or [None] * len(record['labels'])
        for box, score, label, track in zip(
            record['boxes'], record['scores'], record['labels'], tracks, strict=True
        ):
            number += 1
            width, height = box[2] - box[0], box[3] - box[1]
            annotation = dict(id=number, image_id=image_id, category_id=ids[label])
            annotation['bbox'] = [box[0], box[1], round(width, 3), round(height, 3)]
            annotation |= dict(score=score, area=round(width * height, 3), iscrowd=0)
            yield annotation | ({} if track is None else dict(track_id=track))


def write_json(journal: Path, out_dir: Path, job: dict) -> Path:
    """``results.json``: a list of the journal's images and frames."""
    path = out_dir / 'results.json'
    with replacing(path) as file:
        file.write(b'[')
        _write_list(results(journal), file)
        file.write(b']')
    return path


def _write_list(items: Iterable[dict], file: BinaryIO) -> None:
    for index, item in enumerate(items):
        file.write((',\n' if index else '').encode() + to_json(item).encode())


def write_csv(journal: Path, out_dir: Path, job: dict) -> Path:
    """``predictions.csv``: a row per detection; boxes in pixels."""
    path = out_dir / 'predictions.csv'
    with replacing(path) as file:
        text = io.TextIOWrapper(file, 'utf-8', 'backslashreplace', newline='')
        rows = csv.writer(text)
        rows.writerow((*CSV_COLUMNS, 'track_id'))
        for record in results(journal):
            rows.writerows(_csv_rows(record))
        text.detach()
    return path


def _csv_rows(record: dict) -> Iterator[list]:
    start = [record['path'], record.get('frame'), record.get('time')]
    tracks = record.get('track_ids') or [None] * len(record['labels'])
    columns = (record[key] for key in ('names', 'scores', 'labels', 'boxes'))
    for name, score, label, box, track in zip(*columns, tracks, strict=True):
        yield [*start, name, score, label, *box, track]


def write_yolo(journal: Path, out_dir: Path, job: dict) -> Path:
    """``labels/NAME.txt`` per image, ``labels/NAME_FRAME.txt`` per frame; ``classes.txt``.

    A line is ``label x_centre y_centre width height score``, in shares of the image's sides.
    """
    folder = out_dir / 'labels'
    folder.mkdir(exist_ok=True)
    write_text_file('\n'.join(job['classes']) + '\n', out_dir / 'classes.txt')
    names, path, stem = UniqueNames(), None, ''
    for record in results(journal):
        if record['path'] != path:
            path = record['path']
            stem = Path(names.take(Path(path).stem, '.txt')).stem
        frame = f'_{record["frame"]:06d}' if 'frame' in record else ''
        lines = '\n'.join(_yolo_lines(record))
        target = folder / fitting_name(stem, f'{frame}.txt')
        write_bytes_file((lines + '\n' if lines else '').encode(), target, sync=False)
    return folder


def _yolo_lines(record: dict) -> Iterator[str]:
    width, height = record['width'], record['height']
    for (x1, y1, x2, y2), score, label in zip(
        record['boxes'], record['scores'], record['labels'], strict=True
    ):
        shares = (
            *((x1 + x2) / 2 / width, (y1 + y2) / 2 / height),
            *((x2 - x1) / width, (y2 - y1) / height),
        )
        yield ' '.join((str(label), *(f'{share:.6f}' for share in shares), f'{score:.6f}'))


def detection_fields() -> list[tuple]:
    """Parquet's columns of :meth:`Detections.to_dict` (needs pyarrow)."""
    arrow = import_extra('pyarrow', 'results')
    return [
        *(('width', arrow.int32()), ('height', arrow.int32())),
        ('boxes', arrow.list_(arrow.list_(arrow.float32(), 4))),
        *(('scores', arrow.list_(arrow.float32())), ('labels', arrow.list_(arrow.int32()))),
        ('names', arrow.list_(arrow.string())),
    ]


def write_parquet(journal: Path, out_dir: Path, job: dict) -> Path:
    """``predictions.parquet``: a row per image or frame, with lists (needs pyarrow)."""
    arrow, parquet = import_extra('pyarrow', 'results'), import_extra('pyarrow.parquet', 'results')
    schema = arrow.schema(
        [
            *(('path', arrow.string()), ('frame', arrow.int64()), ('time', arrow.float64())),
            *(*detection_fields(), ('track_ids', arrow.list_(arrow.int64()))),
        ]
    )
    path = out_dir / 'predictions.parquet'
    with replacing(path) as file, closing(parquet.ParquetWriter(file, schema)) as writer:
        rows: list[dict] = []
        for record in results(journal):
            rows.append(record | dict(path=printable(record['path'])))
            if len(rows) == ROWS:
                writer.write_table(arrow.Table.from_pylist(rows, schema))
                rows.clear()
        writer.write_table(arrow.Table.from_pylist(rows, schema))
    return path


def keep_lines(journal: Path, out_dir: Path, job: dict) -> Path:
    """The journal itself."""
    return journal


FORMATS: dict[str, Callable[[Path, Path, dict], Path]] = {
    'coco': write_coco,
    'json': write_json,
    'jsonl': keep_lines,
    'csv': write_csv,
    'yolo': write_yolo,
    'parquet': write_parquet,
}
"""What ``--format`` takes."""


def check_formats(text: str) -> list[str]:
    """The names in a list such as ``coco,csv``.

    Raises:
        UserError: one is unknown, or needs a package that is not installed.
    """
    names = [name.strip() for name in text.split(',')]
    for name in names:
        if name not in FORMATS:
            raise UserError(f'There is no format {name!r}: choose from {", ".join(FORMATS)}.')
    if 'parquet' in names:
        import_extra('pyarrow', 'results')
    return names
