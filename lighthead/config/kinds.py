"""What kind of value each setting of a run has: the keys that are read before anything is built.

Values inside a ``type`` are its class's own; what it does not take is reported when it is built
(:func:`lighthead.config.build.naming_mistakes`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from mmengine.config import Config
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lighthead.errors import UserError
from lighthead.schema import refusal, shown

Name = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
TypeName = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r'^[^.]')]
"""A name in a registry; mmengine imports what stands before its first dot."""
Dict = dict[str, Any]
Number = Annotated[int, Field(ge=0, le=2**31)]
Positive = Annotated[int, Field(ge=1, le=2**31)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Level = Literal['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']


class Kinds(BaseModel):
    """Base: other keys are allowed, nothing is converted."""

    model_config = ConfigDict(strict=True, extra='allow')


class MetaInfo(Kinds):
    """What a data set is of."""

    classes: str | Sequence[str] | None = None


class Step(Kinds):
    """A step of a pipeline."""

    type: TypeName | Callable[..., Any]


class DataSet(Kinds):
    """A data set, or a wrapper around one."""

    type: TypeName
    ann_file: Name | None = None
    data_root: str | None = None
    data_prefix: dict[str, str | None] | None = None
    metainfo: MetaInfo | None = None
    pipeline: list[Step] | tuple[Step, ...] | None = None
    indices: int | list[int] | None = None
    dataset: 'DataSet | None' = None
    datasets: 'list[DataSet] | None' = None


class Loader(Kinds):
    """A data loader."""

    batch_size: Positive = 1
    num_workers: Number = 0
    persistent_workers: bool = False
    dataset: DataSet
    sampler: Dict | None = None
    batch_sampler: Dict | None = None


class Loop(Kinds):
    """How long to train."""

    max_epochs: Positive | None = None
    max_iters: Positive | None = None
    val_interval: Positive | None = None
    val_begin: Number | None = None


class Randomness(BaseModel):
    """The arguments of mmengine's ``set_randomness``."""

    model_config = ConfigDict(strict=True, extra='forbid')

    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    diff_rank_seed: bool = False
    deterministic: bool = False


class OptimWrapper(Kinds):
    """The optimizer and what goes around it."""

    optimizer: Dict | None = None
    accumulative_counts: Positive = 1
    paramwise_cfg: Dict | None = None
    clip_grad: Dict | None = None


class Scheduler(Kinds):
    """A schedule of the learning rate."""

    by_epoch: bool = True
    begin: Finite | None = None
    end: Finite | None = None
    T_max: Finite | None = None
    milestones: Sequence[Finite] | None = None


class AutoScaleLr(Kinds):
    """Which batch size the learning rate is for."""

    enable: bool = False
    base_batch_size: Positive | None = None


class Evaluator(Kinds):
    """A metric."""

    ann_file: Name | None = None


class Norm(Kinds):
    """A normalisation layer."""

    requires_grad: bool = True


class Backbone(Kinds):
    """A backbone, as far as its weights are concerned."""

    type: TypeName
    init_cfg: Dict | list[Dict] | None = None
    norm_cfg: Norm | None = None
    act_cfg: Dict | None = None


class Preprocessor(Kinds):
    """From images to a batch."""

    mean: Sequence[float | int] | None = None
    std: Sequence[float | int] | None = None


class Head(Kinds):
    """A head, as far as its checkpoint describes it."""

    loss_cls: Dict | None = None
    bbox_head: 'Head | list[Head] | None' = None


class Model(Kinds):
    """A detector or classifier; its parts check themselves."""

    type: TypeName
    backbone: Backbone | None = None
    rpn_head: Head | None = None
    roi_head: Head | None = None
    data_preprocessor: Preprocessor | None = None
    test_cfg: Dict | None = None
    train_cfg: Dict | None = None


class Settings(Kinds):
    """A whole config."""

    model: Model
    train_dataloader: Loader | None = None
    val_dataloader: Loader | None = None
    test_dataloader: Loader | None = None
    train_cfg: Loop | None = None
    val_cfg: Dict | None = None
    test_cfg: Dict | None = None
    val_evaluator: Evaluator | list[Evaluator] | None = None
    test_evaluator: Evaluator | list[Evaluator] | None = None
    optim_wrapper: OptimWrapper | None = None
    param_scheduler: Scheduler | list[Scheduler] | None = None
    auto_scale_lr: AutoScaleLr | None = None
    default_hooks: dict[str, Dict | None] | None = None
    custom_hooks: list[Dict] | None = None
    visualizer: Dict | None = None
    env_cfg: Dict | None = None
    log_processor: Dict | None = None
    randomness: Randomness = Randomness()
    log_level: Level = 'INFO'
    launcher: Name = 'none'
    default_scope: Name | None = None
    work_dir: Name | None = None
    load_from: Name | None = None
    resume: bool = False
    custom_imports: Dict | None = None


def check_kinds(cfg: Config, kinds: type[Kinds] = Settings, what: str = 'The config') -> None:
    """Refuse a setting of another kind than whoever reads it expects.

    Args:
        what: Begins the error message.

    Raises:
        UserError: it names the key.
    """
    content: Mapping = cfg.to_dict()
    try:
        _check_texts(content, [])
        kinds.model_validate(content)
    except ValidationError as error:
        raise refusal(error, what) from None
    except RecursionError:
        raise UserError('The config holds itself, or is nested too deeply.') from None


def _check_texts(node: object, path: list[str]) -> None:
    """Refuse half of a surrogate pair, which no log and no copy of the config can hold."""
    if isinstance(node, str) and not node.isascii():
        try:
            node.encode()
        except UnicodeEncodeError:
            where = ascii('.'.join(path))[1:-1]
            raise UserError(f'The config is refused: {where}={shown(node)}: no Unicode.') from None
    elif isinstance(node, Mapping):
        for key, value in node.items():
            _check_texts(key, [*path, str(key)])
            _check_texts(value, [*path, str(key)])
    elif isinstance(node, list | tuple):
        for number, item in enumerate(node):
            _check_texts(item, [*path, str(number)])
