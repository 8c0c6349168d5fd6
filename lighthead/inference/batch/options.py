"""What ``lighthead batch`` was asked to do."""

from dataclasses import dataclass

from lighthead.errors import UserError
from lighthead.inference.detector import Detector
from lighthead.inference.detector_options import DetectorOptions
from lighthead.inference.wanted import Wanted


@dataclass
class BatchOptions(DetectorOptions):
    """The command line of ``lighthead batch``; see its ``--help``."""

    input: str
    out: str
    model: str
    column: str | None = None
    shard_size: int = 1000
    shard: tuple[int, int] = (0, 1)
    executor: str = 'process'
    address: str | None = None
    actors: int | None = None
    cpus_per_actor: float | None = None
    gpus_per_actor: float = 0.0


def check_options(options: BatchOptions) -> None:
    """Raise a UserError for arguments that contradict each other."""
    if options.executor == 'ray':
        if options.shard != (0, 1):
            raise UserError('--shard divides the job among processes, which Ray does itself.')
        return
    for name in ('address', 'actors', 'cpus_per_actor', 'gpus_per_actor'):
        if getattr(options, name):
            raise UserError(f'--{name.replace("_", "-")} is for --executor ray.')


def wanted(options: BatchOptions, detector: Detector) -> Wanted:
    """Which detections a job keeps."""
    return detector.wanted(None, options.classes, options.class_agnostic)
