"""The convolutions and fully connected layers as an ncnn network, by way of pnnx.

ncnn has no operators for what lies between them, so that three files are written: the network
(.ncnn.param, .ncnn.bin) and what the code around it needs to know (.ncnn.json).
"""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy import seal
from lighthead.deploy.box_codings import BoxCodings
from lighthead.deploy.box_decoding import DeltaDecoder, DistributionDecoder
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.export_onnx import quiet
from lighthead.deploy.metadata import ExportMeta, dense_outputs, file_parts
from lighthead.deploy.ncnn_names import CODINGS, HEAD_OUTPUTS, IMAGES, POOLED
from lighthead.deploy.proposals import LevelCandidates
from lighthead.deploy.stages import DetectorStages, JointScores
from lighthead.errors import UserError, missing_extra
from lighthead.files import temporary_folder, write_bytes_file

EXAMPLES = ((1, 3, 192, 256), (1, 3, 128, 320))
"""Two shapes of images that pnnx traces, so that it takes no size for fixed."""


def save_ncnn(model: BaseDetector, meta: ExportMeta, path: Path) -> None:
    """Write the three files of a detector.

    Args:
        path: Of the first, which ends in ``.ncnn.param``.

    Raises:
        UserError: pnnx is not installed, or cannot convert the detector.
    """
    stages = eager_detector(model).cpu()
    text, weights = convert(stages, path.parent)
    write_parts(text, weights, meta, box_codings(stages), path)


def write_parts(
    text: bytes, weights: bytes, meta: ExportMeta, codings: BoxCodings, path: Path
) -> None:
    """Write a network with what the code around it needs to know."""
    fields = meta.to_strings() | {CODINGS: codings.to_json(), seal.KEY: seal.EMPTY}
    about = json.dumps(fields, ensure_ascii=False, indent=1, sort_keys=True).encode()
    contents = text, weights, seal.sealed(about, text, weights)
    for part, content in zip(file_parts(path), contents, strict=True):
        write_bytes_file(content, part)


def convert(stages: DetectorStages, folder: Path) -> tuple[bytes, bytes]:
    """The text and the weights of the network, made by pnnx in a folder of their own.

    Raises:
        UserError: pnnx is not installed, or cannot convert the detector.
    """
    if importlib.util.find_spec('pnnx') is None:
        raise missing_extra('pnnx', 'ncnn')
    import pnnx

    pooled = torch.zeros(1, stages.head.shared.in_features)
    shapes = [f'[{",".join(map(str, shape))}]f32,[1,{pooled.shape[1]}]f32' for shape in EXAMPLES]
    with temporary_folder(folder / 'pnnx') as work:
        with quiet(), torch.no_grad():
            traced = torch.jit.trace(Network(stages).eval(), (torch.zeros(EXAMPLES[0]), pooled))
        traced.save(str(work / 'network.pt'))
        command = [pnnx.EXEC_PATH, 'network.pt', f'inputshape={shapes[0]}']
        command += [f'inputshape2={shapes[1]}', 'fp16=0']
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        files = work / 'network.ncnn.param', work / 'network.ncnn.bin'
        if done.returncode or not all(file.is_file() for file in files):
            reason = (done.stderr.strip() or 'no reason given').splitlines()[-1][:200]
            raise UserError(f'pnnx cannot convert this detector ({reason}): export to ONNX.')
        text, weights = (file.read_bytes() for file in files)
    names = dense_outputs(len(stages.candidates.levels))
    return renamed(text.decode(), [*names, *HEAD_OUTPUTS]).encode(), weights


def renamed(text: str, outputs: Sequence[str]) -> str:
    """The network's text, in which inputs and outputs have their names instead of in0, out0."""
    names = {'in0': IMAGES, 'in1': POOLED}
    names |= {f'out{index}': name for index, name in enumerate(outputs)}
    lines = [[names.get(word, word) for word in line.split(' ')] for line in text.splitlines()]
    return '\n'.join(map(' '.join, lines)) + '\n'


def box_codings(stages: DetectorStages) -> BoxCodings:
    """What the code around the network needs to know of a detector."""
    levels = [level for level in stages.candidates.levels if isinstance(level, LevelCandidates)]
    joint = stages.class_scores
    fields = dict(
        levels=[dict(anchors=level.base_anchors.tolist(), stride=level.stride) for level in levels],
        rpn=_coding(stages.candidates.decoder),
        second=_coding(stages.box_decoder),
        rpn_weight=joint.rpn_weight if isinstance(joint, JointScores) else None,
    )
    return BoxCodings.parse(fields, 'The box codings of the model')


def _coding(decoder: nn.Module) -> dict:
    """The fields of a decoder's coding."""
    if isinstance(decoder, DistributionDecoder):
        return dict(reg_max=len(decoder.steps) - 1, clip=decoder.clip)
    assert isinstance(decoder, DeltaDecoder)  # there is no third
    return dict(means=decoder.means.tolist(), stds=decoder.stds.tolist(), clip=decoder.clip)


class Network(nn.Module):
    """What an ncnn network computes; both halves are in one file, and each runs alone.

    Args:
        stages: Of a detector.
    """

    def __init__(self, stages: DetectorStages) -> None:
        super().__init__()
        self.dense, self.head = stages.dense, stages.head

    def forward(self, images: Tensor, pooled: Tensor) -> tuple[Tensor, ...]:
        """Images (1, 3, H, W) and pooled RoIs (K, bins * C) to all dense maps, logits, deltas."""
        maps = self.dense(images)
        return (*maps.scores, *maps.boxes, maps.thin, *self.head(pooled))
