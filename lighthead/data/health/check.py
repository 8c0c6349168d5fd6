"""Everything that ``lighthead data check`` looks at, as one report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.health.duplicates import similar_groups
from lighthead.data.health.findings import Finding, box_findings, class_findings, finding
from lighthead.data.health.image_scan import ImageScan, scan_images


@dataclass
class HealthReport:
    """What was found in a data set.

    Attributes:
        findings: Per split, and under ``''`` those between splits.
        scans: Every image of each split.
        similar: Groups of (split, file name) of images that look the same.
    """

    data: LabelledData
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    scans: dict[str, list[ImageScan]] = field(default_factory=dict)
    similar: list[list[tuple[str, str]]] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(f.severity == 'error' for found in self.findings.values() for f in found)

    def lines(self) -> list[str]:
        """The report as text."""
        lines = [str(self.data)]
        for split in self.data.splits.values():
            lines += [f'note: {note}' for note in split.notes]
        for name, found in self.findings.items():
            lines += [f'{name + ": " if name else ""}{item}' for item in found]
        warnings = sum(len(found) for found in self.findings.values()) - self.errors
        return [*lines, f'{self.errors} errors, {warnings} warnings']


def check_dataset(data: LabelledData) -> HealthReport:
    """Look a data set over; every image is opened."""
    report = HealthReport(data)
    for name, split in data.splits.items():
        paths = [split.img_dir / image['file_name'] for image in split.content['images']]
        report.scans[name] = list(scan_images(paths))
        report.findings[name] = [
            *_image_findings(split, report.scans[name]),
            *box_findings(split.content),
        ]
    report.findings[''] = class_findings({n: s.content for n, s in data.splits.items()})
    report.similar = _similar(data, report.scans)
    report.findings[''] += _leaks(report.similar)
    return report


def _image_findings(split: LabelledSplit, scans: list[ImageScan]) -> list[Finding]:
    images = split.content['images']
    broken = [f'{scan.path.name}: {scan.error}' for scan in scans if scan.size is None]
    other = [
        f'{image["file_name"]}: {image["width"]} x {image["height"]} is written, '
        f'{scan.size[0]} x {scan.size[1]} it is'
        for image, scan in zip(images, scans, strict=True)
        if scan.size is not None and scan.size != (image.get('width'), image.get('height'))
    ]
    return finding('error', 'images are missing or broken', broken) + finding(
        'error', 'images have another size than their annotation says', other
    )


def _similar(
    data: LabelledData, scans: Mapping[str, list[ImageScan]]
) -> list[list[tuple[str, str]]]:
    everything = [
        (name, image['file_name'], scan.fingerprint)
        for name, split in data.splits.items()
        for image, scan in zip(split.content['images'], scans[name], strict=True)
    ]
    groups = similar_groups([fingerprint for _, _, fingerprint in everything])
    return [[everything[index][:2] for index in group] for group in groups]


def _leaks(similar: list[list[tuple[str, str]]]) -> list[Finding]:
    """Groups of similar images, within a split and, worse, across splits."""
    across = [group for group in similar if len({split for split, _ in group}) > 1]
    within = [group for group in similar if len({split for split, _ in group}) == 1]
    examples = {
        'error': (_names(group) for group in across),
        'warning': (_names(group) for group in within),
    }
    return finding(
        'error', 'groups of images look the same in several splits', examples['error']
    ) + finding('warning', 'groups of images look the same', examples['warning'])


def _names(group: list[tuple[str, str]]) -> str:
    return ' = '.join(f'{split}/{Path(name).name}' for split, name in group[:3])
