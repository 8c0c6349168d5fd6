"""results.json: what a run of ``lighthead speed`` leaves behind, for reports and comparisons.

:data:`FIELDS` says what each field of a measurement means, and is written into every file.
``pandas.DataFrame(json.load(open('results.json'))['measurements'])`` makes a table of it.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import write_text_file
from lighthead.speed.harness.complexity import Complexity
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.machine import Roofline
from lighthead.speed.harness.timer import Timing

FORMAT = 'lighthead-speed'
FORMAT_VERSION = 1

FIELDS = {
    'id': 'name of the measurement, unique within its experiment',
    'name': 'what was timed',
    'kind': "nominal, matched to the paper's complexity, or own (table8, resolutions)",
    'covers': 'what the time covers',
    'device': 'cpu or cuda',
    'threads': 'CPU threads of torch',
    'precision': 'fp32 (exact, TF32 off), tf32, or bf16 or fp16 (under autocast)',
    'batch': 'images per call',
    'height': 'height of the input in pixels',
    'width': 'width of the input in pixels',
    'date': 'when it was recorded, UTC',
    'ms_median': 'median time of a call in milliseconds',
    'ms_p10': 'a tenth of the calls was faster than this, in milliseconds',
    'ms_p90': 'a tenth of the calls was slower than this, in milliseconds',
    'spread': '(p90 - p10) / median',
    'wide_spread': 'whether the spread is too wide, or the calls are too few, to trust the median',
    'rounds': 'alternating rounds in which it was timed',
    'calls': 'timed calls in all rounds',
    'round_ms': 'median of each round in milliseconds, in the order of the rounds',
    'images_per_s': 'images per second, of the median call',
    'batches_per_s': 'calls per second, of the median call',
    'macs': "multiply-adds per image (the paper's FLOPs)",
    'parameters': 'weights of the network',
    'activations': 'output elements of convolutions and fully connected layers, per image',
    'memory_access': "the paper's memory access cost in elements, batch of one: what convolutions "
    'and fully connected layers read and write',
    'memory_access_all': 'the same over all operations',
    'intensity': 'FLOPs (2 per multiply-add) per byte of memory_access_all',
    'roofline_ms': "time of the batch if each operation ran at the slower of the machine's limits",
    'roofline_share': 'roofline_ms / ms_median: what fraction of its limit the network reaches; '
    'above 1 where operations are fused or stay in the cache',
    'peak_memory_mb': 'peak memory of one call in MiB, in a process of its own',
    'paper_speed': "the paper's figure for this",
    'paper_unit': "unit and machine of the paper's figure",
    'paper_mflops': "the paper's multiply-adds in millions",
    'paper_error': "the paper's top-1 error on ImageNet in %",
}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


@dataclass
class Record:
    """Everything that an experiment measured, in plain values.

    Attributes:
        settings: The conditions.
        findings: Verdicts, correlations and the like.
        notes: What the reader should know about this run.
    """

    subcommand: str
    title: str
    settings: dict
    machine: dict
    measurements: list[dict] = field(default_factory=list)
    findings: dict = field(default_factory=dict)
    rooflines: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    date: str = field(default_factory=now)


def write_record(record: Record, path: Path) -> None:
    """Write results.json."""
    content = {'format': FORMAT, 'format_version': FORMAT_VERSION} | asdict(record)
    write_text_file(json.dumps(content | {'fields': FIELDS}, indent=1) + '\n', path)


def read_record(path: Path) -> Record:
    """The content of a results.json, or of the one in a folder.

    Raises:
        UserError: the file is missing, broken, or of something else.
    """
    if path.is_dir():
        path = path / 'results.json'
    if not path.is_file():
        raise UserError(f'{path} is not there: give a results.json of lighthead speed.')
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is not readable as JSON ({error}).') from None
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise UserError(f'{path} was not written by lighthead speed: its format is not {FORMAT}.')
    if content.get('format_version') != FORMAT_VERSION:
        raise UserError(
            f'{path} has format version {content.get("format_version")}, this lighthead reads '
            f'{FORMAT_VERSION}: measure again.'
        )
    try:
        return Record(**{name: content[name] for name in Record.__dataclass_fields__})
    except KeyError as error:
        raise UserError(f'{path} has no field {error}: measure again.') from None


def timing_fields(
    timing: Timing, conditions: Conditions, threads: int, shape: tuple[int, int], covers: str
) -> dict:
    """The fields of a measurement that come from its timing."""
    return {
        'covers': covers,
        'device': conditions.torch_device.type,
        'threads': threads,
        'precision': conditions.precision,
        'batch': timing.items,
        'height': shape[0],
        'width': shape[1],
        'date': now(),
        'ms_median': timing.median * 1e3,
        'ms_p10': timing.p10 * 1e3,
        'ms_p90': timing.p90 * 1e3,
        'spread': timing.spread,
        'wide_spread': timing.is_wide,
        'rounds': len(timing.rounds),
        'calls': len(timing.samples),
        'round_ms': [round(value * 1e3, 4) for value in timing.round_medians],
        'images_per_s': timing.items_per_second,
        'batches_per_s': 1 / timing.median,
    }


def complexity_fields(complexity: Complexity, timing: Timing, roofline: Roofline) -> dict:
    """The fields of a measurement that come from counting; ``complexity`` is of one image."""
    size = 4 if roofline.precision in ('fp32', 'tf32') else 2
    least = complexity.least_time(roofline.peak, roofline.bandwidth, size) * timing.items
    return {
        'macs': complexity.macs,
        'parameters': complexity.parameters,
        'activations': complexity.activations,
        'memory_access': complexity.memory_access,
        'memory_access_all': complexity.memory_access_all,
        'intensity': complexity.intensity(size),
        'roofline_ms': least * 1e3,
        'roofline_share': least / timing.median,
    }
