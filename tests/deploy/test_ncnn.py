"""ncnn files: the three parts, and odd ones, which are refused before ncnn reads them."""

import json
from pathlib import Path

import numpy as np
import pytest

from lighthead import Detector
from lighthead.commands.export_job import export
from lighthead.deploy.metadata import file_parts
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import open_exported

from ..command_line import parse
from ..fuzz.exported_files import reseal
from .conftest import need
from .tiny_files import write_tiny


def test_command_writes_three_files(checkpoint, tmp_path, capsys):
    need('ncnn')
    out = tmp_path / 'detector.ncnn.param'
    export(parse('export', checkpoint, format='ncnn', out=out, score_thr=0.2))
    assert 'detections compared with torch' in capsys.readouterr().out
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['detector.ncnn.bin', 'detector.ncnn.json', 'detector.ncnn.param']
    _, meta = open_exported(out)
    assert meta.settings.score_thr == 0.2


def test_a_batch_is_its_images(exported):
    need('ncnn')
    detector = Detector(exported('ncnn'), score_thr=0.0, batch_size=2, threads=1)
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 120, 3), dtype=np.uint8)
    for together, image in zip(detector(list(images)), images, strict=True):
        alone = detector(image)
        assert len(alone) > 10
        np.testing.assert_array_equal(together.boxes, alone.boxes)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> Path:
    pytest.importorskip('ncnn', reason="ncnn is not installed: pip install 'lighthead[ncnn]'")
    return write_tiny('ncnn', tmp_path_factory.mktemp('tiny'))


def copy(source: Path, folder: Path, old: str = '', new: str = '') -> Path:
    """A copy with a part of its text replaced, and a checksum that fits."""
    text, weights, about = (part.read_bytes() for part in file_parts(source))
    assert old.encode() in text
    text = text.replace(old.encode(), new.encode(), 1)
    path = folder / 'odd.ncnn.param'
    contents = text, weights, reseal(about, text, weights)
    for part, content in zip(file_parts(path), contents, strict=True):
        part.write_bytes(content)
    return path


def test_the_tiny_network_detects(tiny, tmp_path):
    opened, _ = open_exported(copy(tiny, tmp_path), threads=1)
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    (found,) = opened(image, [(60, 90)])
    assert len(found.scores) == 10
    assert found.boxes.max() <= 90


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('7767517', '7767518', 'no ncnn network'),
        ('20 27', '20 28', 'does not count'),
        ('Pooling ', 'Flatten ', 'not one that is exported'),
        ('0=8 1=3', '0=9 1=3', 'not the weights of its channels'),
        ('0=8 1=3', '0=8 1=99999999', 'option 1='),
        ('0=8 1=3', '0=8_0 1=3', 'has the line'),
        ('0=8 1=3', '0=8 1=3.5', 'option 1='),
        ('0=8 1=3', '0=8 77=3', 'option 77='),
        ('0=8 1=3', '0=8', 'lacks the options'),
        ('3=2 4=1', '3=0 4=1', 'option 3=0'),
        ('4=1 5=1', '4=0 5=1', 'changes the size'),
        ('6=216', '6=217', 'not the weights of its channels'),
        (' -23310=1,0.1', '', 'no slope'),
        ('-23300=2,3,-233', '-23300=2,3,5', 'other slices'),
        ('-23300=2,3,-233', '-23300=2,9,-233', 'other outputs'),
        ('-23300=2,3,-233', '-23300=3,3,-233', 'option -23300='),
        ('-23303=2,1,2', '-23303=2,1,1', 'another mean'),
        ('r a2 u', 'r f u', "KeyError: 'f'"),
        ('a3 u v', 'a3 q1 v', 'adds what does not fit'),
        ('q2 q1 r', 'q2 a1 r', 'ValueError'),
        ('2=192', '2=96', 'has other bins|not the weights of its inputs'),
        ('thin_map', 'fat_map', 'outputs are not'),
        ('Split copy ', 'Split copy \x0b', 'has the line'),
        ('1 1 images a', '1 1 nowhere a', 'nowhere'),
    ],
)
def test_odd_networks(tiny, tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        open_exported(copy(tiny, tmp_path, old, new))


def test_weights_of_another_length(tiny, tmp_path):
    path = copy(tiny, tmp_path)
    text, weights, about = (part.read_bytes() for part in file_parts(path))
    path.with_suffix('.bin').write_bytes(weights[:-4])
    with pytest.raises(UserError, match='damaged'):
        open_exported(path)
    path.with_suffix('.json').write_bytes(reseal(about, text, weights[:-4]))
    with pytest.raises(UserError, match=r'bytes, and its layers ask for'):
        open_exported(path)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('codings', '{}', 'codings|is refused: levels'),
        ('classes', '["a"]', 'category ids'),
        ('settings', 'null', 'no settings'),
        ('sha256', None, 'not what was written'),
        ('sha256', '', 'damaged'),
    ],
)
def test_odd_metadata(tiny, tmp_path, key, value, message):
    path = copy(tiny, tmp_path)
    text, weights, about = (part.read_bytes() for part in file_parts(path))
    strings = json.loads(about)
    strings.pop(key)
    if value is not None:
        strings[key] = value
    changed = json.dumps(strings, ensure_ascii=False).encode()
    path.with_suffix('.json').write_bytes(reseal(changed, text, weights))
    with pytest.raises(UserError, match=message):
        open_exported(path)


def test_parts_are_needed(tiny, tmp_path):
    path = copy(tiny, tmp_path)
    path.with_suffix('.json').unlink()
    with pytest.raises(UserError, match=r'odd\.ncnn\.json cannot be read'):
        open_exported(path)
