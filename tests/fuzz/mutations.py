"""Odd values, changed data and changed bytes; all of them functions of a random generator."""

import copy
import json
import random
from typing import Any

ODD = [
    None, True, -1, 0, 1, 2.5, 10**6, 10**9, 10**18, 10**400, -(10**12), 1e308, float('nan'),
    float('inf'), '', 'x' * 10**5, '\x00', '\ud800', '../../etc/passwd', 'http://127.0.0.1:9/x',
    'os.system', 'AppearanceFreeLink', '{{ x }}', [], {}, [[]], {'type': 'os.system'}, b'bytes',
    (), [10**9] * 3, {'': None}, {1: 2},
]  # fmt: skip


def spots(node: Any, path: tuple = ()) -> list[tuple]:
    """The way to each value inside plain data."""
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list | tuple):
        items = list(enumerate(node))
    else:
        return []
    return [way for key, value in items for way in ((*path, key), *spots(value, (*path, key)))]


def change(rng: random.Random, data: Any) -> Any:
    """Change one to four values of plain data, in place: replace, remove, add or multiply one."""
    for _ in range(rng.randint(1, 4)):
        ways = spots(data)
        if not ways:
            break
        *parents, last = rng.choice(ways)
        node = data
        for key in parents:
            node = node[key]
        if not isinstance(node, dict | list):
            continue
        action = rng.randrange(6)
        if action < 3:
            node[last] = copy.deepcopy(rng.choice(ODD))
        elif action == 3:
            del node[last]
        elif action == 4 and isinstance(node, dict):
            key = rng.choice(['type', 'init_cfg', 'checkpoint', '_scope_', 'x'])
            node[key] = copy.deepcopy(rng.choice(ODD))
        elif isinstance(node[last], int | float):
            node[last] = node[last] * rng.choice([-1, 0, 2, 10, 10**3, 10**6])
    return data


def as_json(value: Any) -> Any:
    """The value as JSON; what has none stays as it is."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return value


def odd_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes that are flipped, cut, doubled or filled up."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = rng.choice([rng.randrange(len(data)), rng.randrange(min(3000, len(data)))])
        if rng.random() < 0.3:
            place = len(data) - 1 - rng.randrange(min(3000, len(data)))  # the zip's directory
        action = rng.randrange(4)
        if action < 2:
            data[place] = rng.randrange(256)
        elif action == 2:
            del data[place : place + rng.choice([1, 4, 10**6])]
        else:
            data[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 4, 64])))
        if not data:
            return b''
    return bytes(data)
