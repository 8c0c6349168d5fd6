"""Detectors, as in Table 7 of the ShuffleNet V2 paper (arXiv 1807.11164), measured here.

Images per second at 800x1200 in batches of four, latency of single images, and
the time of each part. The time depends on how many boxes reach the two NMS
steps, so each figure comes with its proposals setting; the paper's is unknown,
the two given are torchvision's and that of Light-Head R-CNN's code (arXiv
1711.07264). With random weights the boxes are not those of a trained detector.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.bench import Bench
from lighthead.speed.detector_complexity import detector_shares
from lighthead.speed.detector_runner import (
    PADDING,
    PROPOSALS,
    Candidate,
    Proposals,
    Runner,
    apply_proposals,
    detections_per_image,
    make_call,
    make_runner,
    read_image,
    takes_proposals,
)
from lighthead.speed.memory import peak_memory
from lighthead.speed.paper.table7 import BATCH, COMPLEXITIES, IMAGE_SIZE, TABLE7
from lighthead.speed.record import Result, timing_fields
from lighthead.speed.stages import StageClock, counting_proposals, watches_of, watching
from lighthead.speed.timer import Timing, Workload, intra_op_threads

COVERS = 'bytes of the resized images to boxes: preprocessing, network, NMS'
COVERS_FILE = 'image file to boxes: decoding, resizing, preprocessing, network, NMS'
PARTS_CALLS = 5
PARTS_CALLS_QUICK = 2


@dataclass(frozen=True)
class Options:
    """What to time beside the common settings."""

    candidates: tuple[Candidate, ...]
    proposals: tuple[str, ...] = ('torchvision', 'paper')
    image: str | None = None


class Case(NamedTuple):
    """A detector with a proposals setting and a batch."""

    candidate: Candidate
    runner: Runner
    proposals: Proposals | None
    """None: the detector has one stage."""
    batch: int

    @property
    def key(self) -> str:
        """Name of the measurement."""
        setting = f' {self.proposals.text}' if self.proposals else ''
        return f'{self.candidate.label}{setting} batch {self.batch}'


def run(bench: Bench, options: Options) -> Result:
    """Time all detectors in the same rounds, then their parts."""
    settings = bench.settings
    result = bench.result('detector', 'Detectors: speed and where the time goes (Table 7)')
    size = settings.shape or IMAGE_SIZE
    batches = sorted({settings.batch or BATCH, 1}, reverse=True)
    if options.image:
        read_image(options.image, size, rgb=False)
    with bench.stoppable():
        runners = {
            candidate: make_runner(candidate, size, options.image, settings)
            for candidate in bench.each('building', options.candidates)
        }
        for batch in batches:
            cases = cases_of(runners, options.proposals, batch)
            works = [Workload(c.key, c.runner.calls(batch, c.proposals), batch) for c in cases]
            plan = settings.plan(1 / len(batches))
            timings = bench.time(f'batch {batch}', works, settings.all_threads, plan)
            result.measurements += [
                measurement(case, timings[case.key], options.image)
                for case in bench.each('parts', cases)
                if case.key in timings
            ]
            _add_memory(bench, cases, options.image, result)
        for candidate, runner in runners.items():
            shares = complexity_of(runner.model, size)
            if shares:
                result.findings.setdefault('macs', {})[candidate.label] = shares
    return result


def cases_of(
    runners: dict[Candidate, Runner], proposals: tuple[str, ...], batch: int
) -> list[Case]:
    """Every detector with every setting, those of one stage once."""
    cases = []
    for candidate, runner in runners.items():
        if takes_proposals(runner.model):
            cases += [Case(candidate, runner, PROPOSALS[name], batch) for name in proposals]
        else:
            cases.append(Case(candidate, runner, None, batch))
    return cases


def measurement(case: Case, timing: Timing, image: str | None) -> dict:
    """The fields of one case: time, parts, boxes, and the paper's figure where it has one."""
    settings = case.runner.settings
    covers = COVERS_FILE if image else COVERS
    fields = {
        'id': case.key,
        'name': case.candidate.label,
        'trained': case.candidate.checkpoint is not None,
        'proposals': case.proposals.text if case.proposals else None,
    }
    fields |= timing_fields(timing, settings, settings.all_threads, case.runner.size, covers)
    fields |= parts_of(case)
    cell = table7_cell(case.runner.model)
    if cell and case.batch == BATCH:  # the paper has no other batch
        network, place = cell
        fields |= {
            'table7': f'{network}, {COMPLEXITIES[place]}',
            'paper_speed': TABLE7[network].images_per_s[place],
            'paper_unit': 'images/s at 800x1200, batch 4, GTX 1080Ti',
        }
    return fields


def parts_of(case: Case) -> dict:
    """Mean milliseconds of each part over a few calls, and the boxes that were found.

    The parts add up to ``ms_parts``, the mean time of these calls.
    """
    settings = case.runner.settings
    calls = PARTS_CALLS_QUICK if settings.quick else PARTS_CALLS
    call = case.runner.calls(case.batch, case.proposals)
    clock = StageClock(settings.torch_device)
    model = case.runner.model
    with (
        intra_op_threads(settings.all_threads),
        watching(watches_of(model), clock),
        counting_proposals(model) as kept,
    ):
        for _ in range(calls):
            clock.begin()
            outputs = call()
            clock.end('total')
    seconds = clock.seconds()
    total = seconds.pop('total')
    seconds['others'] = total - sum(seconds.values())
    return {
        'ms_parts': total / calls * 1e3,
        'parts': {part: value / calls * 1e3 for part, value in seconds.items()},
        'proposals_after_nms': sum(kept) / (calls * case.batch) if case.proposals else None,
        'detections': detections_per_image(outputs),
    }


STAGE4_CHANNELS = {
    # backbone: channels of stage4 in the four columns of Table 7
    'ShuffleNetV2': (192, 464, 704, 976),
    'ShuffleNetV1': (480, 960, 1440, 1920),
    'LightXception': (288, 576, 864, 1136),
    'StagedMobileNetV2': (90, 204, 320, 448),
}


def table7_cell(model: nn.Module) -> tuple[str, int] | None:
    """The row and column of Table 7 that the detector stands for, by its backbone."""
    if type(model).__name__ != 'LightHeadRCNN':
        return None
    backbone = model.backbone
    kind = type(backbone).__name__
    if kind not in STAGE4_CHANNELS:
        return None
    star = any(name.endswith('star.conv') for name, _ in backbone.named_modules())
    row = {
        'ShuffleNetV2': 'ShuffleNet v2*' if star else 'ShuffleNet v2',
        'ShuffleNetV1': 'ShuffleNet v1',
        'LightXception': 'Xception',
        'StagedMobileNetV2': 'MobileNet v2',
    }[kind]
    distances = [abs(backbone.stage_channels[2] - known) for known in STAGE4_CHANNELS[kind]]
    return row, distances.index(min(distances))


def complexity_of(model: nn.Module, size: tuple[int, int]) -> dict[str, int] | None:
    """MACs by part where they can be counted; the model is of no use afterwards."""
    if not hasattr(model, 'data_preprocessor'):
        return None
    if takes_proposals(model):
        apply_proposals(model, PROPOSALS['paper'])
    padded = tuple(-(-side // PADDING) * PADDING for side in size)
    for sides in (size, padded):  # feature pyramids take multiples of 32 alone
        try:
            return {share.part: share.macs for share in detector_shares(model, *sides)}
        except (UserError, AttributeError, TypeError, NotImplementedError):
            return None  # an unusual head: the speed is there all the same
        except RuntimeError:
            continue
    return None


def _add_memory(bench: Bench, cases: list[Case], image: str | None, result: Result) -> None:
    if bench.settings.quick or not bench.settings.memory:
        return
    rows = {row['id']: row for row in result.measurements}
    for case in bench.each('peak memory', [case for case in cases if case.key in rows]):
        candidate, runner, proposals, batch = case
        prepare = partial(
            make_call, candidate, runner.size, image, runner.settings, batch, proposals
        )
        rows[case.key]['peak_memory_mb'] = peak_memory(prepare, runner.settings)
