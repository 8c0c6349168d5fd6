"""Whether COCO content holds together: every id, name and size that others rely on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lighthead.data.classes import classes_of
from lighthead.data.clean import is_finite
from lighthead.errors import UserError


def check_content(content: Mapping, ann_file: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Check loaded COCO content; boxes are not looked at.

    Returns:
        Class names and category ids, in the content's order.

    Raises:
        UserError: the first fault found.
    """
    names, category_ids = classes_of(content, ann_file)
    _check_images(content['images'], ann_file)
    _check_annotations(content, category_ids, ann_file)
    return names, category_ids


def _check_images(images: Sequence[Mapping], ann_file: Path) -> None:
    for number, image in enumerate(images):
        name, width, height = (image.get(key) for key in ('file_name', 'width', 'height'))
        label = f'image {image.get("id", f"number {number}")} of {ann_file}'
        if not isinstance(image.get('id'), int | str):
            raise UserError(f'The {label} has no "id".')
        if not isinstance(name, str) or not name:
            raise UserError(f'The {label} has no "file_name".')
        for key, value in (('width', width), ('height', height)):
            if not is_finite(value) or value <= 0:
                raise UserError(f'The {label} ({name}) has no positive "{key}": {value!r}.')
    _refuse_duplicates((image['id'] for image in images), 'image', ann_file)


def _check_annotations(content: Mapping, category_ids: Sequence[int], ann_file: Path) -> None:
    annotations = content['annotations']
    fields = {
        'category_id': (frozenset(category_ids), 'a category'),
        'image_id': (frozenset(image['id'] for image in content['images']), 'an image'),
    }
    for key, (known, what) in fields.items():
        unknown = Counter(
            str(a.get(key))
            for a in annotations
            if not isinstance(a.get(key), int | str) or a[key] not in known
        )
        if unknown:
            raise UserError(
                f'{sum(unknown.values())} annotations of {ann_file} have a {key} that is not '
                f'{what} of the file ({first_names(unknown)}): add it, or remove them.'
            )
    ids = [a['id'] for a in annotations if a.get('id') is not None]
    odd = [a for a in ids if not isinstance(a, int | float | str)]
    if odd:
        raise UserError(f'{ann_file} has an annotation id that is a {type(odd[0]).__name__}.')
    _refuse_duplicates(ids, 'annotation', ann_file)


def _refuse_duplicates(ids: Iterable, what: str, ann_file: Path) -> None:
    repeated = [key for key, count in Counter(map(str, ids)).items() if count > 1]
    if repeated:
        raise UserError(
            f'{ann_file} uses {len(repeated)} {what} ids more than once '
            f'({first_names(repeated)}): make them unique.'
        )


def first_names(names: Iterable[str], count: int = 5) -> str:
    """The first names of a list, for a message."""
    names = list(names)
    return ', '.join(names[:count]) + (', ...' if len(names) > count else '')
