"""Odd annotations in every format: read, checked as before a training, loaded, converted."""

import json
import random
import re
import shutil
from pathlib import Path

from mmdet.registry import DATASETS
from mmengine.config import Config

from lighthead.data.check import check_data
from lighthead.data.convert import convert
from lighthead.data.find_splits import find_splits
from lighthead.data.formats import read_dataset
from lighthead.data.health import check_dataset
from lighthead.data.repair import write_repaired

from ..data.formats.builders import (
    YAML_BOMB,
    YOLO_LINE,
    coco_json,
    labelme_json,
    voc_xml,
    write_image,
)
from .harness import OUT, quiet
from .mutations import as_json, change, odd_bytes

NAMES = ['a.png', 'b.png', 'c.png']
YOLO_YAML = 'path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n'
ODD_WORDS = [
    '', '-1', '0', '1', '2', '9' * 30, '1e400', 'nan', 'inf', '0.5', 'x', '\x00', '☃', '/etc',
    '../../../x', '[]', '{}', '&a [*a]', '!!python/object/apply:os.system [x]', '&x;', '<a>',
    'null', '~', 'x' * 3000, '- ', '#', ':', '"', '1.5 1.5', '2017-01-01', '0x10', '1_000',
]  # fmt: skip
"""Instead of a word of a text format."""
XML_BOMB = '<!DOCTYPE a [<!ENTITY b0 "x">' + ''.join(
    f'<!ENTITY b{n} "{f"&b{n - 1};" * 9}">' for n in range(1, 30)
)


def odd_json(rng: random.Random, text: str) -> bytes:
    """JSON with other values, or other bytes; sometimes very deep."""
    if rng.random() < 0.02:
        depth = rng.choice([100, 3000, 10**5])
        return ('{"shapes": ' + '[' * depth + ']' * depth + '}').encode()
    if rng.random() < 0.2:
        return odd_bytes(rng, text.encode())
    changed = as_json(change(rng, json.loads(text)))
    return changed.encode('utf-8', 'surrogatepass') if isinstance(changed, str) else b'{}'


def odd_words(rng: random.Random, text: str) -> bytes:
    """Text with some of its words replaced, doubled or left out."""
    for _ in range(rng.randint(1, 4)):
        words = list(re.finditer(r'[^\s<>,:\[\]]+', text))
        if not words:
            break
        one = rng.choice(words)
        new = rng.choice([*ODD_WORDS, one[0] * 2, rng.choice(words)[0]])
        text = text[: one.start()] + new + text[one.end() :]
    data = text.encode('utf-8')
    return odd_bytes(rng, data) if data and rng.random() < 0.15 else data


class Annotations:
    """Small data sets of four formats with one odd file, read as training reads them."""

    megabytes = 512

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / 'data'
        self.kind = ''
        write_image(folder / 'outside.png')

    def make(self, rng: random.Random) -> None:
        """Write the next data set."""
        for place in (self.root, self.folder / OUT):
            shutil.rmtree(place, ignore_errors=True)
        self.kind = rng.choice(['coco', 'yolo', 'voc', 'labelme'])
        files = getattr(self, f'_{self.kind}')(rng)
        odd = rng.choice([name for name in files if not name.endswith('.png')])
        for name, text in files.items():
            if name.endswith('.png'):
                write_image(self.root / name)
                continue
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mutate = odd_json if name.endswith('.json') else odd_words
            path.write_bytes(mutate(rng, text) if name == odd else text.encode())
        if rng.random() < 0.1:  # an image that is none
            odd = rng.choice(sorted(self.root.rglob('*.png')))
            odd.write_bytes(odd_bytes(rng, odd.read_bytes()))
        self.task = rng.choice([self._train, self._train, self._check, self._convert])
        self.form = rng.choice(['coco', 'yolo', 'voc'])

    def _coco(self, rng: random.Random) -> dict[str, str]:
        text = coco_json(NAMES)
        names = {f'train/{n}': '' for n in NAMES} | {f'val/{n}': '' for n in NAMES}
        content = json.loads(text)
        if rng.random() < 0.3:
            content['images'][0]['file_name'] = rng.choice(
                ['../outside.png', '/etc/passwd', str(self.folder / 'outside.png'), 'a/../a.png']
            )
        return names | {
            'annotations/instances_train.json': json.dumps(content),
            'annotations/instances_val.json': text,
        }

    def _yolo(self, rng: random.Random) -> dict[str, str]:
        files = {}
        for split in ('train', 'val'):
            for name in NAMES:
                files[f'images/{split}/{name}'] = ''
                files[f'labels/{split}/{name[:-4]}.txt'] = f'1 {YOLO_LINE}\n0 {YOLO_LINE}\n'
        if rng.random() < 0.5:
            bomb = rng.random() < 0.02
            names = YAML_BOMB + 'names: *a29\ntrain: images/train\n' if bomb else YOLO_YAML
            return files | {'data.yaml': names}
        lists = [f'images/train/{name}\n' for name in NAMES]
        return files | {'obj.names': 'cat\ndog\n', 'train.txt': ''.join(lists)}

    def _voc(self, rng: random.Random) -> dict[str, str]:
        files = {}
        for name in NAMES:
            files[f'JPEGImages/{name}'] = ''
            text = voc_xml(name, difficult=rng.randrange(2))
            if rng.random() < 0.01:
                text = XML_BOMB + ']>' + text.replace('dog', '&b29;')
            files[f'Annotations/{name[:-4]}.xml'] = text
        if rng.random() < 0.5:
            files['ImageSets/Main/train.txt'] = 'a\nb 1\n'
            files['ImageSets/Main/val.txt'] = 'c\n'
        return files

    def _labelme(self, rng: random.Random) -> dict[str, str]:
        files = {}
        for name in NAMES:
            files[name] = ''
            kind = rng.choice(['rectangle', 'polygon', 'circle'])
            files[f'{name[:-4]}.json'] = labelme_json(name, kind)
        return files

    def read(self) -> None:
        """Do one thing with the data set."""
        with quiet():
            self.task()

    def _train(self) -> None:
        splits = find_splits(self.root)
        for split in (splits.train, splits.val):
            if split is None:
                continue
            dataset = dict(type='CocoDetDataset', test_mode=split is splits.val)
            dataset |= dict(ann_file=str(split.ann_file), data_prefix=dict(img=f'{split.img_dir}/'))
            check_data(Config(dict(train_dataloader=dict(dataset=dataset), model={})), ('train',))
            loaded = DATASETS.build(dict(dataset, pipeline=[]))
            for index in range(len(loaded)):
                loaded.get_data_info(index)

    def _check(self) -> None:
        report = check_dataset(read_dataset(self.root))
        report.lines()
        if not report.errors:
            write_repaired(report, self.folder / OUT / 'repaired')

    def _convert(self) -> None:
        convert(read_dataset(self.root), self.folder / OUT / self.form, self.form)
