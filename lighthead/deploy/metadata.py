"""What travels inside an exported file, so that nothing else is needed to use it."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from lighthead.errors import UserError
from lighthead.inference.preprocess import Preprocess

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


@dataclass(frozen=True)
class ExportMeta:
    """Attributes:
    classes, category_ids: Name and category id of each label.
    preprocess: From an image to the network's input; ``mean`` and ``std`` over 0..255 in
        the network's channel order, RGB where ``swap_channels``.
    settings: Thresholds and numbers of both suppressions.
    version: lighthead's, that wrote the file.
    precision: ``'fp32'`` or ``'int8'``.
    opset: Of ONNX; 0 where the file is none.
    """

    classes: list[str]
    category_ids: list[int]
    preprocess: Preprocess
    settings: dict = field(default_factory=dict)
    version: str = ''
    precision: str = 'fp32'
    opset: int = 0

    def to_strings(self) -> dict[str, str]:
        """Every field as JSON, for the string tables of all formats."""
        fields = dict(format=FORMAT, **asdict(self), tensors=DESCRIPTION)
        return {
            key: json.dumps(value, ensure_ascii=False, sort_keys=True)
            for key, value in fields.items()
        }

    @classmethod
    def from_strings(cls, strings: Mapping[str, str], path: object) -> 'ExportMeta':
        """Read what :meth:`to_strings` wrote.

        Raises:
            UserError: it is not there, broken, or of a later version.
        """
        if 'classes' not in strings or 'preprocess' not in strings:
            raise UserError(
                f'{path} was not written by tools/export.py (its metadata has no classes and '
                'preprocess): export the checkpoint again.'
            )
        try:
            fields = {key: json.loads(strings[key]) for key in ('format', *_FIELDS)}
            if fields.pop('format') > FORMAT:
                raise UserError(
                    f'{path} was written by lighthead {fields["version"]}, whose files this '
                    'version cannot read: update lighthead.'
                )
            preprocess = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in fields.pop('preprocess').items()
            }
            return cls(preprocess=Preprocess(**preprocess), **fields)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise UserError(
                f'The metadata in {path} is damaged ({type(error).__name__}: {error}): export the '
                'checkpoint again.'
            ) from error


_FIELDS = ('classes', 'category_ids', 'preprocess', 'settings', 'version', 'precision', 'opset')
