"""Odd inputs for a reader: each must be used, or refused with one error message.

    python -m tests.fuzz annotations --inputs 10000

It prints a JSON summary and ends with 1 where an input ended otherwise: in a traceback, a crash
or a hang, with more memory than the reader states, a message of more than 2000 characters, or a
file outside the output folder. ``--first N --inputs 1`` repeats input N.
"""

import argparse
import json
import sys
import time

import torch

from .annotation_files import Annotations
from .checkpoint_files import Checkpoints, Specifications, Weights
from .command_lines import CommandLines
from .config_files import Configs
from .exported_files import ExportedFiles
from .harness import fuzz
from .media_files import Images, Videos

READERS = {
    'annotations': Annotations,
    'images': Images,
    'videos': Videos,
    'commands': CommandLines,
    'configs': Configs,
    'checkpoints': Checkpoints,
    'weights': Weights,
    'exported': ExportedFiles,
    'specifications': Specifications,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('reader', choices=list(READERS))
    parser.add_argument('--inputs', type=int, default=100)
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()
    result = fuzz(READERS[args.reader], args.inputs, args.first, args.seed)
    summary = dict(
        reader=args.reader,
        first=args.first,
        inputs=result.inputs,
        used=result.used,
        refused=result.refused,
        faults=len(result.faults),
        peak_megabytes=result.peak,
        seconds=round(time.monotonic() - begun),
        kinds=dict(sorted(result.kinds.items())),
    )
    print(json.dumps(summary))
    return int(bool(result.faults))


if __name__ == '__main__':
    sys.exit(main())
