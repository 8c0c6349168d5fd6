"""Make a model's file for the zoo from a checkpoint.

``python -m lighthead.zoo.pack CHECKPOINT OUT.safetensors`` keeps the weights in half precision, the
specification (``--img-scale 512 512`` changes the size of test images) and the class names, and
prints size and SHA-256 for ``models.json``.
"""

import argparse
import sys
from pathlib import Path

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.safetensors_files import save_safetensors
from lighthead.checkpoint.specification import META_KEY, read_specification
from lighthead.weights.sources import META_KEY as FACTS_KEY
from lighthead.zoo.locate import file_sha256

KEPT = (META_KEY, FACTS_KEY, 'dataset_meta', 'lighthead_version', 'epoch', 'iter', 'seed')
"""What of a checkpoint's ``meta`` goes into the file."""


def pack(
    checkpoint: Path, target: Path, img_scale: tuple[int, int] | None = None
) -> tuple[int, str]:
    """Write ``target``; returns its bytes and SHA-256.

    Raises:
        UserError: the checkpoint is none of a detector that can be served.
    """
    content = load_checkpoint_file(checkpoint)
    specification = read_specification(content['meta'], checkpoint)
    meta = {key: content['meta'][key] for key in KEPT if key in content['meta']}
    if img_scale is not None:
        specification = specification.with_test_settings(img_scale=img_scale)
        meta[META_KEY] = specification.to_json()
    save_safetensors(dict(meta=meta, state_dict=content['state_dict']), target)
    return target.stat().st_size, file_sha256(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('target', type=Path)
    parser.add_argument('--img-scale', nargs=2, type=int, metavar=('W', 'H'))
    args = parser.parse_args()
    size, digest = pack(args.checkpoint, args.target, args.img_scale and tuple(args.img_scale))
    print(f'{args.target}: {size / 1e6:.2f} MB, sha256 {digest}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
