"""Load pretrained weights into a backbone, count what arrived, and refuse what does not fit."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn as nn
from mmcv.cnn import build_activation_layer
from mmengine.logging import print_log
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lighthead.errors import UserError
from lighthead.weights import fetch, layouts, star
from lighthead.weights.compare import compare_weights, shapes_of
from lighthead.weights.files import read_weight_file
from lighthead.weights.sources import WeightSource, source_of_file, torchvision_source

REQUIRED = 0.95
"""Part of the tensors that must load."""
OPTIONAL = ('conv5',)
"""Modules that may start at random: published backbones often lack their last 1x1."""
NAMED = 3
"""Mismatches that an error message names."""
LOGGED = 12
"""Tensors of each kind that the log names."""
NOT_COUNTED = '.num_batches_tracked'
"""It matters only to norm layers with momentum=None; old files lack it."""
NORM_FIELDS = ('weight', 'bias', 'running_mean', 'running_var')


@runtime_checkable
class RenamesPublished(Protocol):
    """A backbone that knows the names that published files give its tensors."""

    def rename_published(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under the backbone's own names."""


@dataclass(frozen=True)
class LoadReport:
    """What became of a file's tensors in a backbone.

    ``loaded``, ``missing`` and ``mismatched`` count the tensors that the
    network has without ShuffleNetV2*'s added layers (unless the file has those
    too), ``num_batches_tracked`` and the classifier; ``identity`` lists
    the added layers' tensors which were set to pass their input on;
    ``mismatched`` says name and both shapes; ``loaded_norms`` are the norm
    layers with valid statistics, identities included.
    """

    checkpoint: str
    source: WeightSource
    loaded: list[str]
    missing: list[str]
    mismatched: list[str]
    unused: list[str]
    identity: list[str]
    loaded_norms: list[str]

    @property
    def total(self) -> int:
        """Tensors that should have been loaded."""
        return len(self.loaded) + len(self.missing) + len(self.mismatched)

    def summary(self) -> str:
        """One line for the log."""
        parts = [f'{len(self.loaded)} of {self.total} tensors loaded from {self.checkpoint}']
        if self.identity:
            parts.append(
                f'set to identity (Dirac kernel, neutral norm): {_some(self.identity, NAMED)}'
            )
        if self.missing:
            parts.append(f'not in the file, so left at random: {_some(self.missing)}')
        if self.mismatched:
            parts.append(f'of another shape, so left at random: {_some(self.mismatched)}')
        if self.unused:
            parts.append(f'in the file, not in the network: {_some(self.unused)}')
        return '; '.join(parts) + '.'


def load_pretrained(backbone: nn.Module, checkpoint: str) -> LoadReport:
    """Load ``torchvision://<model>``, an address or a file into a backbone, in place.

    Raises:
        UserError: the weights are out of reach or damaged, or less than 95 %
            of the network's tensors are among them in the right shape (a
            missing conv5 alone is a warning), or the activation differs.
            The backbone is then unchanged.
    """
    file = read_weight_file(fetch.locate(checkpoint))
    if checkpoint.startswith(fetch.TORCHVISION):
        source = torchvision_source(checkpoint)
    else:
        source = source_of_file(file)
    given = layouts.convert(file.state_dict)
    if isinstance(backbone, RenamesPublished):
        try:
            given = backbone.rename_published(given)
        except layouts.CONVERSION_ERRORS as error:
            raise UserError(
                f'{checkpoint}: its names are not those of a {type(backbone).__name__} '
                f'({str(error)[:100]}).'
            ) from error
    report = _compare(backbone, given, checkpoint, source)
    _check_fit(backbone, report, given)
    check_activation(source, backbone)
    _copy(backbone, given, report)
    complete = not report.missing and not report.mismatched
    print_log(
        f'{type(backbone).__name__}: {report.summary()}',
        logger='current',
        level=logging.INFO if complete else logging.WARNING,
    )
    return report


def check_activation(source: WeightSource, backbone: nn.Module) -> None:
    """Stop where a backbone was built without the activation of its weights."""
    if source.act_cfg is None:
        return
    expected = build_activation_layer(dict(source.act_cfg))
    alike = [module for module in backbone.modules() if type(module) is type(expected)]
    slopes = {getattr(module, 'negative_slope', None) for module in alike}
    if slopes != {getattr(expected, 'negative_slope', None)}:
        raise UserError(
            f'model.backbone.act_cfg does not fit the weights {source.name}, which were trained '
            f'with {source.act_cfg}: set model.backbone.act_cfg={source.act_cfg}, or choose other '
            'weights.'
        )


def _compare(
    backbone: nn.Module, given: dict[str, Tensor], checkpoint: str, source: WeightSource
) -> LoadReport:
    shapes = {k: v for k, v in shapes_of(backbone).items() if not k.endswith(NOT_COUNTED)}
    identity = [] if star.star_names(given) else star.star_names(shapes)
    compared = compare_weights({k: v for k, v in shapes.items() if k not in identity}, given)
    mismatched = [
        f'{name} {_shape(given[name].shape)} instead of {_shape(shapes[name])}'
        for name in compared.differing
    ]
    others = [k for k in compared.unexpected if not k.endswith(NOT_COUNTED)]
    unused = [k for k in others if not k.startswith(layouts.CLASSIFIERS)]
    valid = {*compared.fitting, *identity}
    norms = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, _BatchNorm)
        and all(f'{name}.{field}' in valid for field in NORM_FIELDS)
    ]
    loaded, missing = compared.fitting, compared.missing
    return LoadReport(checkpoint, source, loaded, missing, mismatched, unused, identity, norms)


def _check_fit(backbone: nn.Module, report: LoadReport, given: dict[str, Tensor]) -> None:
    optional = tuple(f'{name}.' for name in getattr(backbone, 'optional_names', OPTIONAL))
    missing = [name for name in report.missing if not name.startswith(optional)]
    broken = [n for n in report.loaded if not torch.isfinite(given[n]).all()]
    if broken:
        raise UserError(
            f'{report.checkpoint}: {_some(broken, NAMED)} hold values that are not finite.'
        )
    if star.star_names(report.unused):
        raise UserError(
            f'{report.checkpoint}: these are weights of ShuffleNetV2* '
            f'({star.star_names(report.unused)[0]}, ...): set model.backbone.star=True.'
        )
    fits = not missing and not report.mismatched
    enough = len(report.loaded) >= REQUIRED * report.total
    # ten tensors of another shape in the entry are few, but all features come from there
    other_entry = report.source.paper_entry != getattr(backbone, 'paper_entry', False)
    if fits or (enough and not (other_entry and report.mismatched)):
        return
    first = (report.mismatched + [f'{name} is not in the file' for name in missing])[:NAMED]
    raise UserError(
        f'{report.checkpoint}: only {len(report.loaded)} of {report.total} tensors fit '
        f'{type(backbone).__name__}: {"; ".join(first)}; {_hint(backbone, report, given)}.'
    )


def _hint(backbone: nn.Module, report: LoadReport, given: dict[str, Tensor]) -> str:
    width = layouts.seeming_width(given)
    if width is not None and width != getattr(backbone, 'widen_factor', width):
        return (
            f'the file seems to be ShuffleNetV2 {width}x, so set '
            f'model.backbone.widen_factor={width}, or choose weights of '
            f'{backbone.widen_factor}x'
        )
    if report.source.paper_entry and not getattr(backbone, 'paper_entry', False):
        return (
            "the file is of the authors' own network, which divides the channels of stage2's "
            'first unit unequally: set model.backbone.type=AuthorsShuffleNetV2'
        )
    if getattr(backbone, 'paper_entry', False) and width is not None:
        return "weights in torchvision's form need model.backbone.type=ShuffleNetV2"
    if report.source.layout == layouts.OTHER:
        return (
            f'its layout is not known (its names begin with {next(iter(given))}): torchvision, '
            'Megvii (ShuffleNet v1 and V2), timm (MobileNet v2) and lighthead have known ones'
        )
    return 'choose weights of the same architecture'


@torch.no_grad()
def _copy(backbone: nn.Module, given: dict[str, Tensor], report: LoadReport) -> None:
    own = backbone.state_dict()
    for name in report.loaded:
        own[name].copy_(given[name])
    for name in own:
        if name.endswith(NOT_COUNTED) and name in given and given[name].numel() == 1:
            own[name].copy_(given[name].reshape(own[name].shape))
    if report.identity:
        star.set_to_identity(backbone)


def _shape(shape: Sequence[int]) -> str:
    return 'x'.join(map(str, shape)) or 'scalar'


def _some(names: list[str], limit: int = LOGGED) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return f'{", ".join(names[:limit])}{more}'
