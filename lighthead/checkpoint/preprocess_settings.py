"""From an image to a network's input, as data that travels in checkpoints and exported files.

:class:`PreprocessSettings` is the part that ``lighthead.deploy.metadata`` may take over as it
is: closed and bounded, without numpy or OpenCV. ``lighthead.inference.preprocess`` does what it
says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lighthead.errors import UserError
from lighthead.schema import Closed, Pair, Triple
from lighthead.weights.facts import Mean, Std

MAX_SIDE = 8192
MAX_PIXELS = 4096 * 4096
"""Of an image after resizing: its features then take some gigabytes."""
LEAVE_PIXELS = ('LoadImageFromFile', 'LoadImageFromNDArray', 'LoadAnnotations', 'PackDetInputs')
"""Steps of a test pipeline that leave the pixels alone."""

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class PreprocessSettings(Closed):
    """What happens to an image before the network.

    Attributes:
        scale: (long side, short side) to fit into, or (width, height) without
            ``keep_ratio``; None keeps the size.
        keep_ratio: Whether the aspect ratio is kept.
        interpolation: OpenCV's name, as in mmcv.
        mean, std: Per channel, in the network's channel order, over 0..255.
        swap_channels: Whether the network wants RGB (images are BGR).
        pad_divisor: Height and width are padded to multiples of it, at the
            bottom and on the right.
        pad_value: Value of the padding, after normalisation.
    """

    scale: Pair[Side] | None
    keep_ratio: bool = True
    interpolation: Literal['nearest', 'bilinear', 'bicubic', 'area', 'lanczos'] = 'bilinear'
    mean: Triple[Mean] = (0.0, 0.0, 0.0)
    std: Triple[Std] = (1.0, 1.0, 1.0)
    swap_channels: bool = False
    pad_divisor: Annotated[int, Field(ge=1, le=512)] = 1
    pad_value: Annotated[float, Field(ge=-1000, le=1000)] = 0.0

    @model_validator(mode='after')
    def _check_pixels(self) -> 'PreprocessSettings':
        if self.scale is not None and self.scale[0] * self.scale[1] > MAX_PIXELS:
            raise ValueError(f'an image of scale {self.scale} has more than {MAX_PIXELS} pixels')
        return self

    def to_preprocessor(self) -> dict[str, Any]:
        """The config of mmdet's ``data_preprocessor``."""
        return dict(
            type='DetDataPreprocessor',
            mean=list(self.mean),
            std=list(self.std),
            bgr_to_rgb=self.swap_channels,
            pad_size_divisor=self.pad_divisor,
            pad_value=self.pad_value,
        )

    def to_pipeline(self) -> list[dict[str, Any]]:
        """The test pipeline of mmdet that resizes alike."""
        resize = dict(
            type='Resize',
            scale=self.scale,
            keep_ratio=self.keep_ratio,
            interpolation=self.interpolation,
        )
        keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
        return [
            dict(type='LoadImageFromFile'),
            resize if self.scale else dict(type='Resize', scale_factor=1.0, keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs', meta_keys=keys),
        ]


def preprocess_from_config(cfg: Mapping[str, Any]) -> PreprocessSettings:
    """Read the size from a config's pipelines and the rest from its ``data_preprocessor``.

    The size is the test pipeline's, else the validation's, else that of the variable
    ``test_pipeline``, else the training's.

    Raises:
        UserError: no pipeline says it, a test pipeline has a step that changes pixels and is not
            known here, or a number is out of bounds.
    """
    resize = _resize_step(cfg)
    settings = (cfg.get('model') or {}).get('data_preprocessor') or {}
    data = dict(
        scale=resize.get('scale'),
        keep_ratio=bool(resize.get('keep_ratio', False)),
        interpolation=resize.get('interpolation', 'bilinear'),
        mean=_three(settings.get('mean'), 0.0),
        std=_three(settings.get('std'), 1.0),
        swap_channels=bool(settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr')),
        pad_divisor=settings.get('pad_size_divisor', 1),
        pad_value=settings.get('pad_value', 0),
    )
    return PreprocessSettings.parse(data, "The preprocessing of the config's test images")


def _resize_step(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    for pipeline in _test_pipelines(cfg):
        return _resize_of(pipeline)
    for step in _pipeline_of(cfg.get('train_dataloader')) or ():
        if _name(step) in ('Resize', 'RandomResize') and step.get('scale') is not None:
            return step
    raise UserError(
        'Nothing in the config says at which size the detector is used: give it a '
        'test_dataloader.dataset.pipeline, or a variable test_pipeline, with a Resize(scale=...).'
    )


def _test_pipelines(cfg: Mapping[str, Any]) -> Iterator[Sequence[Mapping]]:
    candidates = [_pipeline_of(cfg.get(f'{name}_dataloader')) for name in ('test', 'val')]
    for pipeline in (*candidates, cfg.get('test_pipeline')):
        if pipeline:
            yield pipeline


def _pipeline_of(loader: Any) -> Sequence[Mapping] | None:
    """The pipeline of a loader's data set, inside wrappers."""
    dataset = (loader or {}).get('dataset') or {}
    while isinstance(dataset, Mapping) and 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset.get('pipeline') if isinstance(dataset, Mapping) else None


def _resize_of(pipeline: Sequence[Mapping]) -> Mapping[str, Any]:
    """The ``Resize`` of a test pipeline, {} where there is none."""
    resize: Mapping[str, Any] = {}
    for step in pipeline:
        if _name(step) == 'Resize' and not resize and step.get('scale') is not None:
            resize = step
        elif _name(step) not in LEAVE_PIXELS:
            raise UserError(
                f'The step {_name(step)} of the test pipeline cannot travel with the detector: '
                'take a pipeline with one Resize (scale=...).'
            )
    return resize


def _name(step: Mapping) -> str:
    kind = step.get('type', '')
    return kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__


def _three(values: Sequence[float] | None, default: float) -> list[float]:
    values = [default] if values is None else list(values)
    return values * 3 if len(values) == 1 else values
