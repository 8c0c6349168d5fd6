"""What a file of weights may say of itself: the activation and the images it was trained with.

Both are closed types (:mod:`lighthead.schema`): an activation is one of a few layers without
code behind its name, an image's normalisation is six bounded numbers and a colour order.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lighthead.schema import Closed, Triple

EARLIER_KEY = 'config_json'
"""What the ``meta`` of detectors' checkpoints had before their specification and their facts."""
Mean = Annotated[float, Field(ge=-1000, le=1000)]
Std = Annotated[float, Field(ge=1e-4, le=1000)]


class Activation(Closed):
    """An activation layer, as mmcv's ``act_cfg`` writes it.

    Attributes:
        type: A name in mmengine's registry of models.
        negative_slope: Of LeakyReLU alone.
        inplace: Has no influence on values.
    """

    type: Literal['ReLU', 'ReLU6', 'LeakyReLU', 'SiLU', 'Swish', 'HSwish', 'GELU', 'Mish']
    negative_slope: Annotated[float, Field(ge=0, le=1)] | None = None
    inplace: bool | None = None

    @model_validator(mode='after')
    def _check_slope(self) -> 'Activation':
        if self.negative_slope is not None and self.type != 'LeakyReLU':
            raise ValueError(f'{self.type} has no negative_slope')
        return self

    def to_cfg(self) -> dict[str, Any]:
        """The ``act_cfg`` for mmcv."""
        return self.model_dump(exclude_none=True)


class ImageFacts(Closed):
    """How images are normalised for a network.

    Attributes:
        color_order: Of the channels that the network sees.
        mean, std: Over 0..255, in that order.
        act_cfg: The network's activation; None where nothing is known.
    """

    color_order: Literal['rgb', 'bgr']
    mean: Triple[Mean]
    std: Triple[Std]
    act_cfg: Activation | None = None
