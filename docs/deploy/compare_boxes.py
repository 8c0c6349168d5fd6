"""Compare two predictions.jsonl of `lighthead infer`: exit code 1 where they differ.

python docs/deploy/compare_boxes.py here/predictions.jsonl there/predictions.jsonl [pixels]
"""

import json
import sys
from pathlib import Path

PIXELS, SCORE = 0.05, 1e-3
"""Tolerances of a box's sides and of its score; two boxes whose scores differ by less may change
places."""


def read(path: str) -> dict[str, list[tuple[int, float, list[float]]]]:
    """Label, score and box of each detection, by image."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {
        line['path']: list(zip(line['labels'], line['scores'], line['boxes'])) for line in lines
    }


def nearest(one: tuple, others: list[tuple]) -> tuple[float, float]:
    """Distance (pixels, score) to the most similar detection of the same label."""
    label, score, box = one
    distances = [
        (max(abs(a - b) for a, b in zip(box, other_box)), abs(score - other_score))
        for other_label, other_score, other_box in others
        if other_label == label
    ]
    return min(distances, default=(float('inf'), float('inf')))


def main(here: str, there: str, pixels: float = PIXELS) -> int:
    """Print the largest differences; 1 where a detection has no counterpart."""
    first, second = read(here), read(there)
    if first.keys() != second.keys() or not any(first.values()):
        print(f'{here} and {there} are not of the same images, or hold no boxes')
        return 1
    distances, missing = [], 0
    for source, detections in first.items():
        for ours, theirs in ((detections, second[source]), (second[source], detections)):
            for one in ours:
                distance = nearest(one, theirs)
                missing += not (distance[0] <= pixels and distance[1] <= SCORE)
                distances.append(distance)
    boxes, scores = (max(values) for values in zip(*distances))
    count = sum(map(len, first.values()))
    print(
        f'{count} boxes in {len(first)} images: sides differ by {boxes:.2g} pixels at most, '
        f'scores by {scores:.2g}; {missing} without counterpart'
    )
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3], *map(float, sys.argv[3:4])))
