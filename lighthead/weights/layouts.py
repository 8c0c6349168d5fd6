"""The layouts in which backbones are published, and the way from each to the one used here."""

from collections.abc import Mapping

from torch import Tensor

from lighthead.errors import UserError
from lighthead.weights import megvii_v1, megvii_v2, timm_mobilenet_v2

TORCHVISION, MEGVII, MEGVII_V1 = 'torchvision', 'megvii', 'megvii_v1'
TIMM, OTHER = 'timm', 'other'
MARKS = {
    # layout -> names that only it has
    TORCHVISION: ('conv1.0.weight', 'stage2.0.branch1.0.weight', 'stage2.0.branch2.0.weight'),
    MEGVII: ('first_conv.0.weight', 'features.0.branch_main.0.weight'),
    MEGVII_V1: ('first_conv.0.weight', 'features.0.branch_main_1.0.weight'),
    TIMM: ('conv_stem.weight', 'blocks.0.0.conv_dw.weight', 'blocks.1.0.conv_pwl.weight'),
}
CONVERTERS = {
    MEGVII: megvii_v2.convert,
    MEGVII_V1: megvii_v1.convert,
    TIMM: timm_mobilenet_v2.convert,
}
CONVERSION_ERRORS = (IndexError, KeyError, RuntimeError, StopIteration, TypeError, ValueError)
"""What a conversion ends with where tensors are missing or have other shapes."""
STAGE4_WIDTHS = {192: 0.5, 464: 1.0, 704: 1.5, 976: 2.0}
"""Channels of stage4 and the widen factor that has them (arXiv 1807.11164, Table 5)."""
CLASSIFIERS = ('fc.', 'classifier.', 'head.')
"""Prefixes of tensors that belong to a classifier, which no backbone has."""


def recognise(state_dict: Mapping[str, Tensor]) -> str:
    """The layout of a backbone's tensors, one of ``MARKS``; 'other' where it is not known."""
    for layout, names in MARKS.items():
        if all(name in state_dict for name in names):
            return layout
    return OTHER


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names and in the channel order used here, whatever their layout.

    MobileNet v2's come under torchvision's names, which its backbone knows. Tensors of no known
    layout come back as they are.

    Raises:
        UserError: tensors of the layout are missing, or their shapes do not fit together.
    """
    layout = recognise(state_dict)
    try:
        return CONVERTERS.get(layout, dict)(state_dict)
    except CONVERSION_ERRORS as error:
        raise UserError(
            f'The weights have the names of the layout {layout}, but cannot be converted '
            f'({type(error).__name__}: {str(error)[:100]}): they are incomplete or changed.'
        ) from error


def seeming_width(state_dict: Mapping[str, Tensor]) -> float | None:
    """The widen factor of ShuffleNetV2 whose stage4 the (converted) tensors fit, if any."""
    last = state_dict.get('stage4.1.branch2.0.weight')
    return STAGE4_WIDTHS.get(2 * last.shape[0]) if last is not None and last.dim() else None


def is_paper_entry(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether the first unit of stage2 (converted names) divides its channels unequally.

    The authors' code gives branch1 as many channels as the unit has inputs and
    branch2 the rest; torchvision gives each branch half. They differ there and
    at 1x, 1.5x and 2x only: elsewhere the inputs are half the outputs.
    """
    branch1 = state_dict.get('stage2.0.branch1.2.weight')
    branch2 = state_dict.get('stage2.0.branch2.5.weight')
    if branch1 is None or branch2 is None:
        return False
    return branch1.shape[:1] != branch2.shape[:1]
