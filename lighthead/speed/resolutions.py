"""The appendix's speeds at other sizes (arXiv 1807.11164): four networks, four complexities.

At 320x320, 640x480 and 1080x720 (width x height), batches on the device and
single images on one CPU thread. The paper's batch is not known; Table 8's eight
is taken. A quick run on a CPU takes single images and leaves the largest size out.
"""

from functools import partial

from lighthead.speed.bench import Bench
from lighthead.speed.networks.catalogue import stand_ins
from lighthead.speed.paper.appendix import COMPLEXITIES, GPU_APART, RESOLUTIONS
from lighthead.speed.paper.table8 import BATCH
from lighthead.speed.phases import Subject, add_memory, both_phases, count_all, run_phase
from lighthead.speed.record import Result
from lighthead.speed.statistics import rank_correlation
from lighthead.speed.table8 import build_by_key

WIDTHS = {
    # the columns of the table, as models of Table 8
    'ShuffleNet v2': ('0.5x', '1x', '1.5x', '2x'),
    'ShuffleNet v1': ('0.5x', '1x', '1.5x', '2x'),
    'MobileNet v2': ('0.15', '0.6', '1.0', '1.4'),
    'Xception': ('0.5x', '1x', '1.5x', '2x'),
}


def subjects_of_table() -> list[Subject]:
    """The 48 cells of the table, the networks of Table 8 at other sizes."""
    by_model = {network.model: network for network in stand_ins()}
    subjects = []
    for size, networks in RESOLUTIONS.items():
        for name, speeds in networks.items():
            for place, complexity in enumerate(COMPLEXITIES):
                network = by_model[f'{name} {WIDTHS[name][place]}']
                facts = {
                    'name': name,
                    'network': network.key,
                    'kind': network.kind,
                    'complexity': complexity,
                    'paper_apart': (size, complexity) == GPU_APART,
                }
                paper = {'gpu': speeds.gpu[place], 'arm': speeds.arm[place]}
                key = f'{network.key} {size[1]}x{size[0]}'
                build = partial(build_by_key, network.key)
                subjects.append(Subject(key, build, 3, size, facts, paper))
    return subjects


def run(bench: Bench) -> Result:
    """Measure every cell in both phases."""
    result = bench.result('resolutions', 'Backbone speed at other sizes (appendix)')
    settings = bench.settings
    quick_on_cpu = settings.quick and not settings.on_gpu
    subjects = subjects_of_table()
    if quick_on_cpu:
        largest = max(RESOLUTIONS)
        subjects = [subject for subject in subjects if subject.size != largest]
        result.notes.append('The quick run leaves the largest size out.')
    phases = both_phases(settings, 1 if quick_on_cpu else BATCH)
    with bench.stoppable():
        complexities = count_all(bench, subjects)
        for phase in phases:
            if bench.interrupted:
                break
            result.measurements += run_phase(bench, phase, subjects, complexities, 0.5)
        add_memory(bench, phases[0], subjects, result.measurements)
    result.findings['rank_correlation'] = correlations(result.measurements)
    return result


def correlations(measurements: list[dict]) -> dict[str, dict]:
    """Spearman's rank correlation with the paper, per phase and size."""
    found: dict[str, dict] = {}
    for phase, field in (('batched', 'batches_per_s'), ('single', 'images_per_s')):
        for height, width in RESOLUTIONS:
            rows = [
                row
                for row in measurements
                if (row['phase'], row['height'], row['width']) == (phase, height, width)
                and not (phase == 'batched' and row['paper_apart'])
            ]
            value = rank_correlation(
                [row[field] for row in rows], [row['paper_speed'] for row in rows]
            )
            found.setdefault(phase, {})[f'{width}x{height}'] = value
    return found
