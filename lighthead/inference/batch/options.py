"""What ``lighthead batch`` was asked to do."""

from dataclasses import dataclass

from lighthead.errors import UserError
from lighthead.inference.detector import Detector, Wanted


@dataclass
class BatchOptions:
    """The command line of ``lighthead batch``; see its ``--help``."""

    input: str
    out: str
    model: str
    column: str | None = None
    shard_size: int = 1000
    shard: tuple[int, int] = (0, 1)
    executor: str = 'process'
    pred_score_thr: float = 0.3
    classes: list[str] | None = None
    class_agnostic: bool = False
    device: str | None = None
    backend: str | None = None
    precision: str | None = None
    threads: int | None = None
    batch_size: int = 1
    tile: int | None = None
    overlap: float = 0.2
    workers: int | None = None
    trust_checkpoint: bool = False
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


def open_detector(options: BatchOptions) -> Detector:
    """The detector of a job."""
    return Detector(
        options.model,
        device=options.device,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
        score_thr=options.pred_score_thr,
        batch_size=options.batch_size,
        tile=options.tile,
        overlap=options.overlap,
        trust=options.trust_checkpoint,
    )


def wanted(options: BatchOptions, detector: Detector) -> Wanted:
    """Which detections a job keeps."""
    return detector.wanted(None, options.classes, options.class_agnostic)
