"""What ``lighthead infer`` was asked to do."""

from dataclasses import dataclass

from lighthead.inference.detector_options import DetectorOptions


@dataclass
class InferOptions(DetectorOptions):
    """The command line of ``lighthead infer``; see its ``--help``."""

    checkpoint: str
    inputs: list[str]
    out_dir: str = 'outputs'
    format: str = 'coco'
    resume: bool = False
    live: bool = False
    track: bool = False
    show: bool = False
    no_save_vis: bool = False
    no_save_pred: bool = False
    print_result: bool = False
