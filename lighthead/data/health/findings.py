"""What COCO content says that cannot be right, without opening an image."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from lighthead.data.clean import clean_boxes

FEW_BOXES = 10
"""A class with fewer boxes can hardly be learned."""
TINY_SIDE = 4
"""A box with a shorter side, in pixels of its image, is hardly visible."""
EXAMPLES = 5


@dataclass
class Finding:
    """Something to look at.

    Attributes:
        severity: ``'error'`` where training fails or learns something wrong; ``'warning'``.
        text: What it is; ``examples`` name some of the ``count`` places.
    """

    severity: str
    text: str
    count: int
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = ', ...' if self.count > len(self.examples) else ''
        names = f' ({", ".join(self.examples)}{more})' if self.examples else ''
        return f'{self.severity}: {self.count} {self.text}{names}'


def finding(severity: str, text: str, places: Iterable[object]) -> list[Finding]:
    """A list of one finding at these places, or of none."""
    names = [str(place) for place in places]
    return [Finding(severity, text, len(names), names[:EXAMPLES])] if names else []


def box_findings(content: Mapping) -> list[Finding]:
    """Boxes that make no sense, classes with few boxes, images without any."""
    cleaned, report = clean_boxes(content)
    findings = []
    for count, text in (
        (report.not_numbers, 'boxes are not four finite numbers'),
        (report.no_area, 'boxes have no area'),
        (report.outside, 'boxes lie outside their image'),
    ):
        findings += [Finding('error', text, count)] if count else []
    if report.clipped:
        findings.append(Finding('warning', 'boxes reach out of their image', report.clipped))
    names = {image['id']: image.get('file_name') for image in content['images']}
    annotations = cleaned['annotations']
    findings += finding(
        'warning',
        f'boxes have a side shorter than {TINY_SIDE} pixels',
        (names.get(a['image_id']) for a in annotations if min(a['bbox'][2:]) < TINY_SIDE),
    )
    findings += finding('warning', 'boxes are there twice', _repeated(annotations, names))
    labelled = {annotation['image_id'] for annotation in annotations}
    without = (name for key, name in names.items() if key not in labelled)
    return findings + finding('warning', 'images have no boxes', without)


def _repeated(annotations: Iterable[Mapping], names: Mapping) -> list[str]:
    keys = Counter((a['image_id'], a['category_id'], tuple(a['bbox'])) for a in annotations)
    return [names[key[0]] for key, count in keys.items() for _ in range(count - 1)]


def class_findings(splits: Mapping[str, Mapping]) -> list[Finding]:
    """Classes that a split lacks or hardly has; ``splits`` are COCO contents by name."""
    findings = []
    counts = {name: boxes_by_class(content) for name, content in splits.items()}
    train = counts.get('train', next(iter(counts.values())))
    few = [f'{name}: {count}' for name, count in train.items() if 0 < count < FEW_BOXES]
    findings += finding('warning', f'classes have fewer than {FEW_BOXES} boxes', few)
    empty = [name for name, count in train.items() if not count]
    findings += finding('warning', 'classes have no box', empty)
    for (first, before), (second, after) in pairwise(counts.items()):
        other = [name for name in after if name not in before]
        findings += finding('error', f'classes of {second} are not those of {first}', other)
    return findings


def boxes_by_class(content: Mapping) -> dict[str, int]:
    """How many boxes each class has, in the order of the categories."""
    counts = Counter(annotation['category_id'] for annotation in content['annotations'])
    return {category['name']: counts[category['id']] for category in content['categories']}
