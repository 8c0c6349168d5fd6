"""Detectors, as in Table 7 of the ShuffleNet V2 paper (arXiv 1807.11164), measured here.

Images per second at 800x1200 in batches of four, latency of single images, and the time of
each part. The time depends on how many boxes reach the two NMS steps, so each figure comes
with its proposals setting; the paper's is unknown, the two given are torchvision's and that of
Light-Head R-CNN's code (arXiv 1711.07264). With random weights the boxes are not those of a
trained detector.
"""

from argparse import Namespace
from functools import partial
from typing import NamedTuple

import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.detectors.build import MMDET, PADDING, TORCHVISION, Candidate
from lighthead.speed.detectors.complexity import detector_shares
from lighthead.speed.detectors.parts import (
    PartClock,
    counting_proposals,
    watches_of,
    watching,
)
from lighthead.speed.detectors.runner import (
    PROPOSALS,
    Proposals,
    Runner,
    apply_proposals,
    detections_per_image,
    make_call,
    make_runner,
    read_image,
    takes_proposals,
)
from lighthead.speed.detectors.table7 import table7_cell
from lighthead.speed.experiments.detection_page import layout
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.record import Record, timing_fields
from lighthead.speed.harness.timer import Timing, Workload, intra_op_threads
from lighthead.speed.paper.table7 import BATCH, COMPLEXITIES, IMAGE_SIZE, TABLE7

__all__ = ['layout', 'measure']

COVERS = 'bytes of the resized images to boxes: preprocessing, network, NMS'
COVERS_FILE = 'image file to boxes: decoding, resizing, preprocessing, network, NMS'
PARTS_CALLS = 5
PARTS_CALLS_QUICK = 2


class Case(NamedTuple):
    """A detector with a proposals setting (None: it has one stage) and a batch."""

    candidate: Candidate
    runner: Runner
    proposals: Proposals | None
    batch: int

    @property
    def key(self) -> str:
        """Name of the measurement."""
        setting = f' {self.proposals.text}' if self.proposals else ''
        return f'{self.candidate.label}{setting} batch {self.batch}'


def candidates_of(args: Namespace) -> list[Candidate]:
    """The detectors that the command line names, each once."""
    checkpoints = args.checkpoint or [None] * len(args.configs)
    if len(checkpoints) != len(args.configs):
        raise UserError(
            f'--checkpoint gives {len(checkpoints)} file(s) for {len(args.configs)} config(s): '
            'give one for each, in the same order.'
        )
    for name in args.against:
        if not name.startswith((TORCHVISION, MMDET)):
            raise UserError(
                f'--against {name}: write torchvision:<function> or mmdet:<config>, such as '
                'torchvision:fasterrcnn_mobilenet_v3_large_fpn.'
            )
    pairs = [*zip(args.configs, checkpoints, strict=True), *((name, None) for name in args.against)]
    return list(dict.fromkeys(Candidate(*pair) for pair in pairs))


def measure(bench: Bench, args: Namespace) -> Record:
    """Time all detectors in the same rounds, then their parts."""
    conditions = bench.conditions
    candidates = candidates_of(args)
    proposals = tuple(PROPOSALS) if args.proposals == 'both' else (args.proposals,)
    record = bench.record('detector', 'Detectors: speed and where the time goes (Table 7)')
    size = conditions.shape or IMAGE_SIZE
    batches = sorted({conditions.batch or BATCH, 1}, reverse=True)
    if args.image:
        read_image(args.image, size, rgb=False)
    with bench.stoppable():
        runners = {
            candidate: make_runner(candidate, size, args.image, conditions)
            for candidate in bench.each('building', candidates)
        }
        for batch in batches:
            cases = cases_of(runners, proposals, batch)
            works = [Workload(c.key, c.runner.calls(batch, c.proposals), batch) for c in cases]
            plan = conditions.plan(1 / len(batches))
            timings = bench.time(f'batch {batch}', works, conditions.all_threads, plan)
            for case in bench.each('parts', [case for case in cases if case.key in timings]):
                record.measurements.append(measurement(case, timings[case.key]))
            prepares = {
                case.key: partial(
                    make_call, case.candidate, size, args.image, conditions, batch, case.proposals
                )
                for case in cases
            }
            bench.add_memory(record, prepares, conditions)
        for candidate, runner in runners.items():
            macs = macs_of_parts(runner.model, size)
            if macs:
                record.findings.setdefault('macs', {})[candidate.label] = macs
    return record


def cases_of(
    runners: dict[Candidate, Runner], proposals: tuple[str, ...], batch: int
) -> list[Case]:
    """Every detector with every setting, those of one stage once."""
    cases = []
    for candidate, runner in runners.items():
        settings = [PROPOSALS.get(name) for name in proposals]
        chosen = settings if takes_proposals(runner.model) else [None]
        cases += [Case(candidate, runner, setting, batch) for setting in chosen]
    return cases


def measurement(case: Case, timing: Timing) -> dict:
    """The fields of one case: time, parts, boxes, and the paper's figure where it has one."""
    runner = case.runner
    threads = runner.conditions.all_threads
    covers = COVERS_FILE if runner.image else COVERS
    fields = {
        'id': case.key,
        'name': case.candidate.label,
        'trained': case.candidate.checkpoint is not None,
        'proposals': case.proposals.text if case.proposals else None,
    }
    fields |= timing_fields(timing, runner.conditions, threads, runner.size, covers)
    with intra_op_threads(threads):
        fields |= parts_of(case)
    cell = table7_cell(runner.model)
    if cell and case.batch == BATCH:  # the paper has no other batch
        network, place = cell
        fields |= {
            'table7': f'{network}, {COMPLEXITIES[place]}',
            'paper_speed': TABLE7[network].images_per_s[place],
            'paper_unit': 'images/s at 800x1200, batch 4, GTX 1080Ti',
        }
    return fields


def parts_of(case: Case) -> dict:
    """Mean milliseconds of each part over a few calls, and the boxes that came out.

    'others' is what ``ms_parts``, the mean time of these calls, holds beyond the parts.
    """
    conditions, model = case.runner.conditions, case.runner.model
    calls = PARTS_CALLS_QUICK if conditions.quick else PARTS_CALLS
    call = case.runner.calls(case.batch, case.proposals)
    clock = PartClock(conditions.torch_device)
    with watching(watches_of(model), clock), counting_proposals(model) as kept:
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


def macs_of_parts(model: nn.Module, size: tuple[int, int]) -> dict[str, int] | None:
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
