"""What ``lighthead infer`` was asked to do."""

from dataclasses import dataclass


@dataclass
class InferOptions:
    """The command line of ``lighthead infer``; see its ``--help``."""

    checkpoint: str
    inputs: list[str]
    out_dir: str = 'outputs'
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
    format: str = 'coco'
    resume: bool = False
    live: bool = False
    track: bool = False
    show: bool = False
    no_save_vis: bool = False
    no_save_pred: bool = False
    print_result: bool = False
    trust_checkpoint: bool = False
