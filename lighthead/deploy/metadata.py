"""What travels inside an exported file, so that nothing else is needed to use it."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.checkpoint.specification import Ids, Names
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.errors import UserError
from lighthead.schema import MAX_TEXT, Closed

FORMAT = 1
"""Of this metadata; a reader refuses a higher one."""
METADATA_FILE = 'lighthead.json'
"""Name of the extra file with the metadata inside a .pt2 archive."""
DENSE_OUTPUT = re.compile(r'(rpn_scores|rpn_deltas|thin_map)(_\d+)?')
"""Tensors between the convolutions and the rest, as they are called inside a file."""
INPUTS = ('images', 'sizes')
OUTPUTS = ('boxes', 'scores', 'labels', 'num')
SIZE_DIVISOR = 32
"""Height and width of a batch are multiples of it."""


def file_parts(path: Path) -> list[Path]:
    """An exported file and those that belong to it: weights, and of ncnn the metadata."""
    more = {'.xml': ['.bin'], '.param': ['.bin', '.json']}.get(path.suffix, [])
    return [path, *map(path.with_suffix, more)]


def dense_outputs(levels: int) -> list[str]:
    """Names of the dense maps of an RPN on so many levels: scores, box deltas, the thin map."""
    suffixes = [''] if levels == 1 else [f'_{level}' for level in range(levels)]
    kinds = ('rpn_scores', 'rpn_deltas')
    return [kind + suffix for kind in kinds for suffix in suffixes] + ['thin_map']


def dense_names(names: Iterable[str]) -> list[str]:
    """Those names that are of dense maps, in a fixed order."""
    return sorted(name for name in names if DENSE_OUTPUT.fullmatch(name))


DESCRIPTION = {
    'images': 'float32 (batch, 3, height, width): resized, normalised as preprocess says, padded '
    'with zeros at the bottom and on the right to multiples of 32',
    'sizes': 'float32 (batch, 2): height and width of each image without padding',
    'boxes': 'float32 (batch, n, 4): x1, y1, x2, y2 in pixels of the batch; zeros as padding',
    'scores': 'float32 (batch, n), best first; zeros as padding',
    'labels': 'int64 (batch, n), index into classes; -1 as padding',
    'num': 'int64 (batch,): how many detections are none of the padding',
}


class ExportMeta(Closed):
    """Everything that a file says of its detector, each field bounded.

    Attributes:
        classes, category_ids: Name and category id of each label.
        preprocess: From an image to the network's input; ``mean`` and ``std`` over 0..255 in
            the network's channel order, RGB where ``swap_channels``.
        settings: Thresholds and numbers of both suppressions; None where a file has none.
        version: lighthead's, that wrote the file.
        precision: ``'fp32'`` or ``'int8'``.
        opset: Of ONNX; 0 where the file is none.
    """

    classes: Names
    category_ids: Ids
    preprocess: PreprocessSettings
    settings: InferenceSettings | None = None
    version: Annotated[str, Field(max_length=100)] = ''
    precision: Literal['fp32', 'int8'] = 'fp32'
    opset: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode='after')
    def _check(self) -> 'ExportMeta':
        if len(self.classes) != len(self.category_ids):
            raise ValueError(
                f'there are {len(self.classes)} classes and {len(self.category_ids)} category ids'
            )
        if self.preprocess.pad_value or self.preprocess.pad_divisor % SIZE_DIVISOR:
            raise ValueError(
                f'preprocess needs pad_value=0 and a pad_divisor that {SIZE_DIVISOR} divides'
            )
        return self

    def to_strings(self) -> dict[str, str]:
        """Every field as JSON, for the string tables of all formats."""
        fields = dict(format=FORMAT, **self.model_dump(mode='json'), tensors=DESCRIPTION)
        return {
            key: json.dumps(value, ensure_ascii=False, sort_keys=True)
            for key, value in fields.items()
        }

    @classmethod
    def from_strings(cls, strings: Mapping[str, str], path: object) -> 'ExportMeta':
        """Read what :meth:`to_strings` wrote.

        Raises:
            UserError: it is not there, damaged, refused, or of a later version.
        """
        if 'classes' not in strings or 'preprocess' not in strings:
            raise UserError(
                f'{path} was not written by tools/export.py (its metadata has no classes and '
                'preprocess): export the checkpoint again.'
            )
        texts = {key: strings[key] for key in ('format', *cls.model_fields) if key in strings}
        if sum(map(len, texts.values())) > MAX_TEXT:
            raise UserError(f'The metadata in {path} is longer than {MAX_TEXT} characters.')
        try:
            fields = {key: json.loads(text) for key, text in texts.items()}
        except (RecursionError, ValueError) as error:
            raise UserError(
                f'The metadata in {path} is damaged ({type(error).__name__}): export the '
                'checkpoint again.'
            ) from error
        version = fields.pop('format', None)
        if not isinstance(version, int) or version > FORMAT:
            raise UserError(
                f'{path} was written by another version of lighthead, whose files this version '
                'cannot read: update lighthead, or export the checkpoint again.'
            )
        if fields.get('settings') == {}:
            fields['settings'] = None
        return cls.parse(fields, f'The metadata in {path}')
