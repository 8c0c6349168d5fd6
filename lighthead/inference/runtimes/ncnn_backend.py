"""ncnn behind the detector: it convolves, numpy does the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lighthead.deploy.metadata import dense_outputs, file_parts
from lighthead.deploy.ncnn_names import HEAD_OUTPUTS, IMAGES, POOLED
from lighthead.deploy.verify_ncnn import read_network
from lighthead.errors import UserError, missing_extra
from lighthead.inference.numpy_stages.stages import Maps, detect
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.runtimes.files import (
    check_detections,
    check_file_precision,
    contiguous_batch,
    read_content,
    refusing_failures,
)


class NcnnBackend:
    """Runs an ncnn network on the CPU, image by image.

    Args:
        path: Of the ``.ncnn.param`` file; ``.ncnn.bin`` and ``.ncnn.json`` lie next to it.
        precision: ``'fp32'``.
        threads: CPU threads; None leaves it to ncnn.
    """

    device = 'cpu'
    best_batch_size = 1
    make_batch = staticmethod(contiguous_batch)

    def __init__(
        self, path: Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise missing_extra('ncnn', 'ncnn') from error
        self.path = path
        text, weights, about = (read_content(part) for part in file_parts(path))
        self.meta, self.settings, self.codings = read_network(text, weights, about, path)
        self.precision = check_file_precision(self.meta, precision, ('fp32',), path, 'ncnn')
        self.outputs = dense_outputs(len(self.codings.levels))
        self._weights = weights  # ncnn reads them where they are
        self._mat, self.net = ncnn.Mat, ncnn.Net()
        options = self.net.opt
        options.use_vulkan_compute = False
        for name in ('use_fp16_packed', 'use_fp16_storage', 'use_fp16_arithmetic'):
            setattr(options, name, False)
        options.use_bf16_storage = False
        if threads is not None:
            options.num_threads = threads
        with refusing_failures(path):
            if self.net.load_param_mem(text.decode()):
                raise RuntimeError('ncnn does not load it')
            self.net.load_model_mem(weights)  # returns nothing; how much it reads is verified

    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`; the file's threshold holds."""
        images = np.asarray(batch)
        return [self._detect(image, size) for image, size in zip(images, sizes, strict=True)]

    def _detect(self, image: np.ndarray, size: tuple[int, int]) -> RawDetections:
        with refusing_failures(self.path):
            arrays = self._run(IMAGES, image, self.outputs)
            levels = len(self.codings.levels)
            maps = Maps(arrays[:levels], arrays[levels:-1], arrays[-1])
            found = detect(maps, size, self.settings, self.codings, self._head)
        check_detections(found, len(self.meta.classes), self.path)
        return found

    def _head(self, pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, deltas = self._run(POOLED, pooled, HEAD_OUTPUTS)
        return logits, deltas

    def _run(self, name: str, values: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Outputs of the network for one input, float32."""
        extractor = self.net.create_extractor()
        values = np.ascontiguousarray(values, np.float32)  # ncnn reads nothing else
        extractor.input(name, self._mat(values))
        found: list[Any] = [extractor.extract(output) for output in outputs]
        if any(code for code, _ in found):
            raise UserError(f'{self.path} does not compute {", ".join(outputs)}.')
        return [np.array(values) for _, values in found]
