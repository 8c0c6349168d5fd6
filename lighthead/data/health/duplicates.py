"""Images that are the same or look the same, by their fingerprints."""

from collections.abc import Sequence

import numpy as np

NEAR = 3
"""Bits of 64 that may differ between images that look the same."""
BLOCK = 1024
FLAT = (0, 2**64 - 1)
"""Fingerprints of images without any structure, which all look the same."""


def similar_groups(fingerprints: Sequence[int | None], near: int = NEAR) -> list[list[int]]:
    """Groups of indices whose images look the same, each sorted, largest group first.

    Two images are in one group where a chain of pairs joins them, each of which differs in at
    most ``near`` bits. Every pair is compared: 10,000 images take about a second.
    """
    known = [i for i, value in enumerate(fingerprints) if value is not None and value not in FLAT]
    values = np.array([fingerprints[i] for i in known], np.uint64)
    parent = list(range(len(known)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        distance = np.bitwise_count(block[:, None] ^ values[None, start:])
        for row, column in np.argwhere(distance <= near).tolist():
            if column > row:
                parent[root(start + column)] = root(start + row)
    groups: dict[int, list[int]] = {}
    for index in range(len(known)):
        groups.setdefault(root(index), []).append(known[index])
    found = [group for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: (-len(group), group))
