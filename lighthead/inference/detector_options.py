"""The options of every command that runs a detector, and the detector that they mean."""

from dataclasses import dataclass
from typing import Any

from lighthead.inference.detector import Detector


@dataclass(kw_only=True)
class RuntimeOptions:
    """What a detector runs on; the flags of ``lighthead infer``, ``batch`` and ``serve``."""

    pred_score_thr: float = 0.3
    device: str | None = None
    backend: str | None = None
    precision: str | None = None
    threads: int | None = None
    batch_size: int | None = None
    trust_checkpoint: bool = False

    def open_detector(self, model: str, **arguments: Any) -> Detector:
        """The detector of a model's name or file; ``arguments`` are further ones of Detector.

        Raises:
            UserError: the model or an option cannot be used.
        """
        return Detector(
            model,
            device=self.device,
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
            score_thr=self.pred_score_thr,
            batch_size=self.batch_size,
            trust=self.trust_checkpoint,
            **arguments,
        )


@dataclass(kw_only=True)
class DetectorOptions(RuntimeOptions):
    """The same for jobs over many images, and which detections they keep."""

    classes: list[str] | None = None
    class_agnostic: bool = False
    tile: int | None = None
    overlap: float = 0.2
    workers: int | None = None

    def open_detector(self, model: str, **arguments: Any) -> Detector:
        """See :meth:`RuntimeOptions.open_detector`; with the tiles."""
        return super().open_detector(model, tile=self.tile, overlap=self.overlap, **arguments)
