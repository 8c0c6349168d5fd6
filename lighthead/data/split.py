"""Seeded splits of a data set that keep the share of every class, and groups together.

Iterative stratification (Sechidis et al., "On the Stratification of Multi-Label Data", ECML
PKDD 2011): the images of the rarest class are dealt out first, each to the part that lacks
most of that class.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from lighthead.errors import UserError

GroupOf = Callable[[dict], str]
WITHOUT_BOXES = None
"""The class under which images without boxes are dealt out."""


def stratified_parts(
    content: Mapping, shares: Sequence[float], seed: int = 0, group_of: GroupOf | None = None
) -> list[dict]:
    """Divide COCO content into parts; every image is in exactly one.

    Args:
        content: COCO content; it is left as it is.
        shares: Of each part; they sum to 1.
        seed: Equal seeds give equal parts.
        group_of: From an image's entry to the name of its group (a video, a patient, a place);
            images of one group stay together. None: every image on its own.

    Raises:
        UserError: there are fewer groups than parts.
    """
    groups: dict[str, list[dict]] = {}
    for image in content['images']:
        name = group_of(image) if group_of else str(image['id'])
        groups.setdefault(name, []).append(image)
    if len(groups) < len(shares):
        raise UserError(
            f'{len(groups)} groups of images cannot be divided into {len(shares)} parts.'
        )
    part_of = _deal(_boxes_by_group(content, groups), shares, random.Random(seed))
    parts: list[set] = [set() for _ in shares]
    for name, part in part_of.items():
        parts[part] |= {image['id'] for image in groups[name]}
    return [_subset(content, ids) for ids in parts]


def _boxes_by_group(content: Mapping, groups: Mapping[str, list[dict]]) -> dict[str, Counter]:
    """How many boxes of each class a group has."""
    by_image: dict[object, Counter] = {}
    for annotation in content['annotations']:
        by_image.setdefault(annotation['image_id'], Counter())[annotation['category_id']] += 1
    empty = Counter({WITHOUT_BOXES: 1})
    return {
        name: sum((by_image.get(image['id'], empty) for image in members), Counter())
        for name, members in groups.items()
    }


def _deal(
    counts: Mapping[str, Counter], shares: Sequence[float], rng: random.Random
) -> dict[str, int]:
    """The part of each group."""
    left = {name: counts[name] for name in sorted(counts)}
    total = sum(left.values(), Counter())
    wanted = [{label: share * count for label, count in total.items()} for share in shares]
    room = [share * len(left) for share in shares]
    part_of: dict[str, int] = {}
    while left:
        remaining = Counter(label for labels in left.values() for label in labels)
        rarest = min(remaining, key=lambda label: (remaining[label], str(label)))
        names = [name for name, labels in left.items() if rarest in labels]
        rng.shuffle(names)
        for name in names:
            urgency = [(wanted[p][rarest], room[p], rng.random()) for p in range(len(shares))]
            part = urgency.index(max(urgency))
            part_of[name] = part
            room[part] -= 1
            for label, count in left.pop(name).items():
                wanted[part][label] -= count
    return part_of


def _subset(content: Mapping, ids: set) -> dict:
    return {
        **content,
        'images': [image for image in content['images'] if image['id'] in ids],
        'annotations': [a for a in content['annotations'] if a['image_id'] in ids],
    }


def hold_out(
    content: Mapping, fraction: float, seed: int = 0, group_of: GroupOf | None = None
) -> tuple[dict, dict]:
    """Content to train on, and ``fraction`` of it (between 0 and 1) to validate on.

    Raises:
        UserError: ``fraction`` is out of range, or one of the two would be empty.
    """
    if not 0 < fraction < 1:
        raise UserError(f'--val-fraction must lie between 0 and 1, not {fraction:g}.')
    train, val = stratified_parts(content, (1 - fraction, fraction), seed, group_of)
    if not train['images'] or not val['images']:
        raise UserError(
            f'{len(content["images"])} images are too few for --val-fraction {fraction:g}.'
        )
    return train, val


def fold(
    content: Mapping, index: int, count: int, seed: int = 0, group_of: GroupOf | None = None
) -> tuple[dict, dict]:
    """Content to train on and to validate on, for fold ``index`` (from 1) of ``count``.

    Raises:
        UserError: ``index`` is not in 1..count, or there are fewer images than folds.
    """
    if count < 2 or not 1 <= index <= count:
        raise UserError(f'--fold {index}/{count}: write i/k with k at least 2 and i from 1 to k.')
    parts = stratified_parts(content, [1 / count] * count, seed, group_of)
    val = parts.pop(index - 1)
    ids = {image['id'] for part in parts for image in part['images']}
    return _subset(content, ids), val


def group_by(rule: str) -> GroupOf:
    """A rule of ``--group-by``: ``folder``, or a regular expression whose first group names it.

    Raises:
        UserError: the expression is malformed or has no group.
    """
    if rule == 'folder':
        return lambda image: str(PurePath(image['file_name']).parent)
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UserError(f'--group-by {rule!r} is no regular expression ({error}).') from error
    if not pattern.groups:
        raise UserError(
            f"--group-by {rule!r} needs a group in brackets, for example '^(video[0-9]+)_'."
        )

    def group_of(image: dict) -> str:
        match = pattern.search(image['file_name'])
        return match[1] or '' if match else image['file_name']

    return group_of
