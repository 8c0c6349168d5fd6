"""A data set in another format, or divided anew: ``lighthead data convert`` and ``split``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lighthead.data.clean import clean_boxes
from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.formats.writers import write_dataset
from lighthead.data.split import GroupOf, stratified_parts
from lighthead.errors import UserError


def cleaned(data: LabelledData) -> tuple[LabelledData, list[str]]:
    """The data set without useless boxes, and what was left out, per split."""
    splits, notes = {}, []
    for name, split in data.splits.items():
        content, report = clean_boxes(split.content)
        splits[name] = replace(split, content=content, ann_file=None)
        notes += [f'{name}: {note}' for note in split.notes] + [f'{name}: {report}']
    return LabelledData(data.root, data.format, splits), notes


def convert(data: LabelledData, out: Path, form: str, copy: bool = True) -> list[str]:
    """Write a data set in another format, after its boxes were cleaned; returns notes.

    Raises:
        UserError: ``out`` is not an empty folder, or cannot be written.
    """
    clean, notes = cleaned(data)
    return notes + write_dataset(clean, out, form, copy)


def divided(
    data: LabelledData, shares: Mapping[str, float], seed: int, group_of: GroupOf | None = None
) -> LabelledData:
    """The images of all splits, dealt out anew.

    Args:
        shares: Of each new split; they need not sum to 1.
        seed, group_of: See :func:`lighthead.data.split.stratified_parts`.

    Raises:
        UserError: the splits do not have the same classes, or a share is not positive.
    """
    if not shares or any(share <= 0 for share in shares.values()):
        raise UserError('every share of a split must be positive, for example train=8 val=2.')
    whole = merged(data)
    total = sum(shares.values())
    parts = stratified_parts(
        whole.content, [share / total for share in shares.values()], seed, group_of
    )
    splits = {name: replace(whole, content=part) for name, part in zip(shares, parts, strict=True)}
    return LabelledData(data.root, data.format, splits)


def merged(data: LabelledData) -> LabelledSplit:
    """All splits as one; file names are relative to the data set's folder.

    Raises:
        UserError: two splits do not have the same classes.
    """
    first, *others = data.splits.values()
    for other in others:
        if other.classes != first.classes:
            raise UserError(
                f'The splits of {data.root} have other classes ({", ".join(first.classes[:5])} '
                f'and {", ".join(other.classes[:5])}): they cannot be merged.'
            )
    ids = {c['name']: c['id'] for c in first.content['categories']}
    images: list[dict] = []
    annotations: list[dict] = []
    for split in data.splits.values():
        names = {c['id']: c['name'] for c in split.content['categories']}
        new_ids = {}
        for image in split.content['images']:
            place = split.img_dir / image['file_name']
            name = place.relative_to(data.root) if place.is_relative_to(data.root) else place
            new_ids[image['id']] = len(images) + 1
            images.append({**image, 'id': len(images) + 1, 'file_name': str(name)})
        for entry in split.content['annotations']:
            category = ids[names[entry['category_id']]]
            entry = {**entry, 'image_id': new_ids[entry['image_id']], 'category_id': category}
            annotations.append({**entry, 'id': len(annotations) + 1})
    content = {**first.content, 'images': images, 'annotations': annotations}
    return LabelledSplit(content, data.root)
