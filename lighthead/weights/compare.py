"""Weights of a file compared with those that a network has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class Comparison(NamedTuple):
    """Names of weights, in the order of the network's, those left over in the file's.

    ``differing``: of another shape than the network's, or no tensor of real numbers.
    """

    fitting: list[str]
    missing: list[str]
    differing: list[str]
    unexpected: list[str]


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of each weight and buffer that a network keeps."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def compare_weights(
    expected: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]
) -> Comparison:
    """Compare the weights of a file with the shapes of a network's."""
    here = [name for name in expected if name in given]
    fits = {name: _fits(given[name], expected[name]) for name in here}
    return Comparison(
        fitting=[name for name in here if fits[name]],
        missing=[name for name in expected if name not in given],
        differing=[name for name in here if not fits[name]],
        unexpected=[name for name in given if name not in expected],
    )


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether it can be loaded; torch would drop the imaginary parts of complex numbers."""
    return isinstance(value, Tensor) and tuple(value.shape) == shape and not value.is_complex()
