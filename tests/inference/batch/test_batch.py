"""A job in one process: every image of the input is a row, once, in order, whatever happens."""

import io
import json
import os
import signal
import tarfile
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from lighthead.cli import build_parser
from lighthead.errors import UserError
from lighthead.inference.batch.shards import plan_shards

from ..jobs.fake_detector import CLASSES


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_tar(path: Path, images: list[Path]) -> None:
    """WebDataset: an image and its label under one key."""
    with tarfile.open(path, 'w') as archive:
        for image in images:
            for name, data in ((image.name, image.read_bytes()), (f'{image.stem}.cls', b'3')):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def test_rows_of_a_folder(run, images, tmp_path, rows_of, capsys):
    assert run(tmp_path / 'in') == 0
    names = [f'part-{number:06d}.parquet' for number in range(3)]
    assert sorted(contents(tmp_path / 'out')) == ['job.json', 'manifest.jsonl', *names]
    rows = rows_of(tmp_path / 'out')
    assert [row['path'] for row in rows] == list(map(str, images))
    assert {row['names'][0] for row in rows} == {CLASSES[0]}
    assert rows[0]['labels'] == [0, 1]
    assert rows[0]['scores'][1] == pytest.approx(0.45)
    assert rows[0]['boxes'][1] == pytest.approx([1.5, 1.5, 60, 48], abs=1)
    assert [(row['width'], row['height']) for row in rows[:3]] == [(120, 96), (140, 96), (160, 96)]
    assert all(row['error'] is None for row in rows)
    assert '12 images in, 12 rows out, 0 with an error' in capsys.readouterr().out


def test_the_manifest(run, images, tmp_path):
    run(tmp_path / 'in', shard_size=7)
    lines = [
        json.loads(line) for line in (tmp_path / 'out/manifest.jsonl').read_text().split('\n')[:-1]
    ]
    assert [(line['shard'], line['rows'], line['errors']) for line in lines] == [
        ('part-000000', 7, 0),
        ('part-000001', 5, 0),
    ]
    job = json.loads((tmp_path / 'out/job.json').read_text())
    assert {line['model_sha256'] for line in lines} == {job['model_sha256']}
    assert {line['config'] for line in lines} == {job['config']}
    assert len({line['input_sha256'] for line in lines}) == 2


@pytest.mark.parametrize('kind', ['list', 'glob', 'paths', 'bytes', 'struct', 'tar'])
def test_every_form_of_input_gives_the_same_rows(run, images, tmp_path, rows_of, kind):
    run(tmp_path / 'in', out=str(tmp_path / 'folder'))
    data = [path.read_bytes() for path in images]
    given = tmp_path / 'given.parquet'
    if kind == 'list':
        given = tmp_path / 'given.txt'
        given.write_text('\n'.join(map(str, images)) + '\n')
    elif kind == 'glob':
        given = f'{tmp_path}/in/*.png'
    elif kind == 'tar':
        write_tar(tmp_path / 'a.tar', images[:7])
        write_tar(tmp_path / 'b.tar', images[7:])
        given = f'{tmp_path}/*.tar'
    else:
        columns = dict(path=list(map(str, images)))
        if kind == 'bytes':
            columns['image'] = data
        elif kind == 'struct':
            values = [dict(bytes=d, path=str(p)) for d, p in zip(data, images, strict=True)]
            columns = dict(image=values)
        parquet.write_table(arrow.table(columns), given, row_group_size=2)
    assert run(given) == 0
    expected, rows = rows_of(tmp_path / 'folder'), rows_of(tmp_path / 'out')
    if kind == 'tar':
        names = [f'{"a" if i < 7 else "b"}.tar/{p.name}' for i, p in enumerate(images)]
        expected = [dict(row, path=name) for row, name in zip(expected, names, strict=True)]
        assert sorted(p.name for p in (tmp_path / 'out').glob('*.parquet')) == [
            'a.parquet',
            'b.parquet',
        ]
    assert rows == expected


def test_row_groups_make_shards(images, tmp_path):
    table = arrow.table(dict(path=list(map(str, images))))
    parquet.write_table(table, tmp_path / 'given.parquet', row_group_size=2)
    shards = plan_shards(str(tmp_path / 'given.parquet'), 5)
    assert [shard.rows for shard in shards] == [4, 4, 4]
    assert [shard.row_groups for shard in shards] == [(0, 2), (2, 4), (4, 6)]


def test_what_cannot_be_read_is_a_row_with_an_error(run, images, tmp_path, rows_of, capsys):
    (tmp_path / 'in/0003.png').write_text('no image')
    (tmp_path / 'in/0004.png').unlink()
    (tmp_path / 'in/0005.png').unlink()
    os.mkfifo(tmp_path / 'in/0005.png')
    listed = tmp_path / 'list.txt'
    listed.write_text('\n'.join(map(str, images)))
    assert run(listed) == 0
    rows = rows_of(tmp_path / 'out')
    assert [row['path'] for row in rows] == list(map(str, images))
    assert [number for number, row in enumerate(rows) if row['error']] == [3, 4, 5]
    assert 'no image format' in rows[3]['error']
    assert 'No such file' in rows[4]['error']
    assert 'pipe' in rows[5]['error']
    assert rows[3]['boxes'] is None
    assert '12 rows out, 3 with an error' in capsys.readouterr().out


def test_empty_cells_are_rows_too(run, images, tmp_path, rows_of):
    table = arrow.table(dict(image=[images[0].read_bytes(), None, b'']))
    parquet.write_table(table, tmp_path / 'given.parquet')
    assert run(tmp_path / 'given.parquet') == 0
    rows = rows_of(tmp_path / 'out')
    assert [row['path'] for row in rows] == [f'given.parquet#{number}' for number in range(3)]
    assert [bool(row['error']) for row in rows] == [False, True, True]


def test_a_shard_that_is_cut_off_fails_alone(run, images, tmp_path, rows_of, capsys):
    write_tar(tmp_path / 'a.tar', images[:6])
    write_tar(tmp_path / 'b.tar', images[6:])
    whole = (tmp_path / 'a.tar').read_bytes()
    (tmp_path / 'a.tar').write_bytes(whole[: len(whole) // 2])
    assert run(f'{tmp_path}/*.tar') == 2
    assert sorted(contents(tmp_path / 'out')) == ['b.parquet', 'job.json']
    assert 'shard a' in capsys.readouterr().err
    (tmp_path / 'a.tar').write_bytes(whole)
    assert run(f'{tmp_path}/*.tar') == 0
    assert len(rows_of(tmp_path / 'out')) == 12


def test_what_is_done_is_skipped_and_the_rest_is_the_same(run, backend, images, tmp_path):
    run(tmp_path / 'in')
    whole = contents(tmp_path / 'out')
    (tmp_path / 'out/part-000001.parquet').unlink()
    (tmp_path / 'out/part-000002.parquet').write_bytes(b'PAR1 cut off')
    (tmp_path / 'out/.part-000001.parquet.0.1.tmp').write_bytes(b'of a killed process')
    backend.images = 0
    assert run(tmp_path / 'in') == 0
    assert backend.images == 7
    assert contents(tmp_path / 'out') == whole
    backend.images = 0
    assert run(tmp_path / 'in') == 0
    assert backend.images == 0


def test_changed_inputs_are_done_again(run, backend, images, tmp_path):
    write_tar(tmp_path / 'a.tar', images[:2])
    write_tar(tmp_path / 'b.tar', images[2:4])
    run(f'{tmp_path}/*.tar')
    write_tar(tmp_path / 'a.tar', images[:3])
    backend.images = 0
    assert run(f'{tmp_path}/*.tar') == 0
    assert backend.images == 3


@pytest.mark.parametrize('batch_size', [1, 2])
@pytest.mark.parametrize('workers', [0, 3])
def test_an_array_of_processes(run, images, tmp_path, batch_size, workers):
    """Each process does its shards; together they write what one would."""
    options = dict(batch_size=batch_size, workers=workers)
    run(tmp_path / 'in', out=str(tmp_path / 'one'), batch_size=batch_size)
    for number in range(2):
        assert not (tmp_path / 'out/manifest.jsonl').exists()
        assert run(tmp_path / 'in', shard=(number, 2), **options) == 0
    assert contents(tmp_path / 'out') == contents(tmp_path / 'one')


@pytest.mark.parametrize(
    ('options', 'key'),
    [
        (dict(pred_score_thr=0.2), 'score_thr was 0.3 and is 0.2'),
        (dict(classes=['cat']), 'only_classes'),
        (dict(tile=64), 'tile was None and is 64'),
    ],
)
def test_another_config_is_refused(run, images, tmp_path, options, key):
    run(tmp_path / 'in')
    with pytest.raises(UserError, match=key):
        run(tmp_path / 'in', **options)


def test_another_model_or_input_is_refused(run, images, tmp_path):
    run(tmp_path / 'in')
    with pytest.raises(UserError, match='no longer names'):
        run(images[0])
    (tmp_path / 'model.onnx').write_bytes(b'other')
    with pytest.raises(UserError, match='model_sha256'):
        run(tmp_path / 'in')


def test_files_of_others_are_left_alone(run, images, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/mine.parquet').write_bytes(b'mine')
    with pytest.raises(UserError, match='of others'):
        run(tmp_path / 'in')
    assert contents(tmp_path / 'out') == {'mine.parquet': b'mine'}


@pytest.mark.parametrize(('folder', 'given'), [('in', 'in'), ('tars', 'tars/*.tar')])
def test_results_next_to_the_images_are_refused(run, images, tmp_path, folder, given):
    (tmp_path / 'tars').mkdir()
    write_tar(tmp_path / 'tars/a.tar', images)
    before = contents(tmp_path / folder)
    with pytest.raises(UserError, match='holds the images'):
        run(tmp_path / given, out=str(tmp_path / folder))
    assert contents(tmp_path / folder) == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_between_shards(run, backend, images, tmp_path, capsys, number):
    calls = iter(range(100))
    backend.before_batch = lambda: next(calls) == 6 and os.kill(os.getpid(), number)
    assert run(tmp_path / 'in', batch_size=1) == 128 + number
    assert sorted(contents(tmp_path / 'out')) == ['job.json', 'part-000000.parquet']
    assert 'the same command continues' in capsys.readouterr().out
    backend.before_batch = lambda: None
    assert run(tmp_path / 'in') == 0


def test_what_is_no_input(run, images, tmp_path):
    (tmp_path / 'empty.txt').write_text('\n')
    (tmp_path / 'bad.parquet').write_bytes(b'no table')
    parquet.write_table(arrow.table(dict(text=['a'])), tmp_path / 'other.parquet')
    for given, message in [
        (tmp_path / 'gone', 'No image or video found'),
        (tmp_path / 'empty.txt', 'is empty'),
        (tmp_path / 'bad.parquet', 'cannot be read as Parquet'),
    ]:
        with pytest.raises(UserError, match=message):
            run(given)
    assert run(tmp_path / 'other.parquet') == 2


def test_options_that_contradict_each_other(run, images, tmp_path):
    with pytest.raises(UserError, match='--actors is for --executor ray'):
        run(tmp_path / 'in', actors=2)
    with pytest.raises(UserError, match='Ray does itself'):
        run(tmp_path / 'in', executor='ray', shard=(0, 2))


@pytest.mark.parametrize('text', ['2/2', '-1/2', '1', 'a/b', '0/0'])
def test_shares_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(['batch', 'in', 'out', '--model', 'm', f'--shard={text}'])
    assert 'is not I/N' in capsys.readouterr().err
