"""Table 8 of the ShuffleNet V2 paper, measured here (arXiv 1807.11164).

Every network of the table: MACs, and two speeds: batches of eight on the device
(the paper's GPU column) and single images on one CPU thread (its ARM column).
"""

from collections.abc import Sequence
from functools import partial

import torch.nn as nn

from lighthead.speed.bench import Bench
from lighthead.speed.networks import NETWORKS, Network, find_network
from lighthead.speed.networks.catalogue import stand_ins
from lighthead.speed.paper.table8 import BATCH
from lighthead.speed.phases import Subject, add_memory, both_phases, count_all, run_phase
from lighthead.speed.record import Result
from lighthead.speed.settings import Settings
from lighthead.speed.statistics import rank_correlation

QUICK_SECONDS = 120


def choose(settings: Settings, only: Sequence[str] | None) -> list[Network]:
    """The networks to time: those named, or all; in a quick run one per row."""
    if only:
        return [find_network(key) for key in only]
    return stand_ins() if settings.quick else list(NETWORKS.values())


def build_by_key(key: str) -> nn.Module:
    """The network of this key, for processes that only get names."""
    return find_network(key).build()


def subject_of(network: Network, settings: Settings) -> Subject:
    """The network as something to be timed, with the paper's figures."""
    paper = network.paper
    facts = {
        'key': network.key,
        'name': network.model,
        'family': network.family,
        'kind': network.kind,
        'source': network.source,
        'paper_mflops': paper.mflops,
        'paper_error': paper.error,
    }
    size = settings.shape or (paper.size, paper.size)
    build = partial(build_by_key, network.key)
    return Subject(network.key, build, 3, size, facts, {'gpu': paper.gpu, 'arm': paper.arm})


def run(bench: Bench, only: Sequence[str] | None = None) -> Result:
    """Measure the networks in both phases."""
    result = bench.result('table8', 'Classification networks: complexity and speed (Table 8)')
    subjects = [subject_of(network, bench.settings) for network in choose(bench.settings, only)]
    phases = both_phases(bench.settings, BATCH)
    with bench.stoppable():
        complexities = count_all(bench, subjects)
        for phase in phases:
            if bench.interrupted:
                break
            result.measurements += run_phase(
                bench, phase, subjects, complexities, 0.5, QUICK_SECONDS
            )
        add_memory(bench, phases[0], subjects, result.measurements)
    result.findings['rank_correlation'] = correlations(result.measurements)
    return result


def correlations(measurements: list[dict]) -> dict[str, dict]:
    """Spearman's rank correlations per phase, over one network for each row of the table.

    ``with_paper``: our speed and the paper's; ``macs_with_speed``: complexity
    and our speed (-1: fewer MACs are always faster); ``paper_macs_with_speed``:
    the same in the paper.
    """
    chosen = {network.key for network in stand_ins()}
    found = {}
    for phase, field in (('batched', 'batches_per_s'), ('single', 'images_per_s')):
        rows = [row for row in measurements if row['phase'] == phase and row['key'] in chosen]
        both = [row for row in rows if row['paper_speed'] is not None]
        theirs = [row['paper_speed'] for row in both]
        values = {
            'networks': len(both),
            'with_paper': rank_correlation([row[field] for row in both], theirs),
            'macs_with_speed': rank_correlation(
                [row['macs'] for row in rows], [row[field] for row in rows]
            ),
            'paper_macs_with_speed': rank_correlation(
                [row['paper_mflops'] for row in both], theirs
            ),
        }
        if rows:
            found[phase] = values
    return found
