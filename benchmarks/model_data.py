"""The data of the models that ship, from two sets in COCO layout.

OUT/full: the persons of every training image of both sets, and the validation images of the first:
what lighthead-people is trained and reported on. OUT/split: the first set's training images split
by a seed, 80 % to train on, with the second set's, and 20 % to choose by. OUT/coco: all 80 classes
of both sets' training images but for 200 of the first, by which configs/finetune/ was chosen
(benchmarks/finetune.py); what lighthead-coco is trained on. Images are linked, not copied.

    python benchmarks/model_data.py coco-people coco-mini --out OUT
"""

import argparse
from pathlib import Path

from coco_parts import SECOND_SET, joined, of_classes, parted, read, write
from finetune import HELD_OUT

PERSON = ('person',)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', type=Path, help='the larger set, with train2017 and val2017')
    parser.add_argument('second', type=Path, help='another set, of which train2017 is used')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--share', type=float, default=0.8, help='to train on, in OUT/split')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    sources = [args.first, args.second]
    first, val = read(args.first, 'train'), read(args.first, 'val')
    second = read(args.second, 'train', SECOND_SET)
    fit, hold_out = parted(first, int(len(first['images']) * args.share), args.seed)
    rest = parted(first, HELD_OUT, 0)[1]
    full = of_classes(joined([first, second]), PERSON)
    write(args.out / 'full', 'train', sources, full)
    write(args.out / 'full', 'val', sources, of_classes(val, PERSON))
    write(args.out / 'split', 'train', sources, of_classes(joined([fit, second]), PERSON))
    write(args.out / 'split', 'val', sources, of_classes(hold_out, PERSON))
    write(args.out / 'coco', 'train', sources, joined([rest, second]))
    write(args.out / 'coco', 'val', sources, val)


if __name__ == '__main__':
    main()
