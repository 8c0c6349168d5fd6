"""A detector's specification: every config comes back as the same network, the rest is refused."""

import inspect
import json
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope

from lighthead.checkpoint import backbone_spec
from lighthead.checkpoint.build_model import build_model, expected_shapes
from lighthead.checkpoint.describe import TRAINING_ONLY, ForeignPartError, describe
from lighthead.checkpoint.specification import Specification
from lighthead.errors import UserError
from lighthead.models.backbones import StagedBackbone
from lighthead.weights import adapt_model_cfg

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DETECTORS = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if path.parent.name in ('configs', 'table7', 'finetune', 'recipes', 'modern')
    and not path.name.startswith('one_stage')
)
MAIN = 'lighthead_shufflev2star_x0_5.py'


def read_config(name: str = MAIN, **changes: object) -> Config:
    cfg = Config.fromfile(CONFIGS / name)
    cfg.model.backbone.init_cfg = None  # some weights have to be fetched by hand
    adapt_model_cfg(cfg.model)
    cfg.merge_from_dict(changes)
    return cfg


@pytest.mark.parametrize('name', DETECTORS)
def test_every_config_comes_back_as_the_same_network(name: str) -> None:
    cfg = read_config(name)
    specification = describe(cfg)
    again = Specification.parse_json(specification.to_json(), 'it')
    assert again == specification
    cfg.model.backbone.update(init_cfg=None, frozen_stages=-1, norm_eval=False)
    with DefaultScope.overwrite_default_scope('mmdet'):
        trained = MODELS.build(cfg.model)
    built = build_model(again.model_cfg())
    shapes = {key: tuple(value.shape) for key, value in trained.state_dict().items()}
    assert expected_shapes(again) == shapes
    assert str(built.backbone) == str(trained.backbone)
    assert str(built.data_preprocessor) == str(trained.data_preprocessor)
    assert built.test_cfg.to_dict() == trained.test_cfg.to_dict()
    assert numbers(built.rpn_head.prior_generator) == numbers(trained.rpn_head.prior_generator)
    assert numbers(built.rpn_head.bbox_coder) == numbers(trained.rpn_head.bbox_coder)
    assert built.rpn_head.use_sigmoid_cls == trained.rpn_head.use_sigmoid_cls
    roi, other = built.roi_head, trained.roi_head
    assert str(roi.bbox_roi_extractor) == str(other.bbox_roi_extractor)
    assert numbers(roi.bbox_head.bbox_coder) == numbers(other.bbox_head.bbox_coder)
    assert roi.bbox_head.reg_class_agnostic == other.bbox_head.reg_class_agnostic


def numbers(part: object) -> dict:
    """The attributes of an anchor generator or box coder; a list counts as a tuple."""
    return json.loads(json.dumps(vars(part), default=str))


def test_the_image_size_is_the_test_pipelines() -> None:
    assert describe(read_config()).preprocess.scale == (1200, 800)


def test_without_a_val_split_the_size_is_the_configs() -> None:
    cfg = read_config('finetune/lighthead_shufflev2star_x0_5.py')
    cfg.val_dataloader = cfg.test_dataloader = None
    assert describe(cfg).preprocess.scale == (512, 384)
    cfg.test_pipeline = None
    assert describe(cfg).preprocess.scale == (512, 384)  # of the training
    cfg.train_dataloader.dataset.pipeline[2] = dict(type='RandomCrop', crop_size=(300, 300))
    with pytest.raises(UserError, match='at which size'):
        describe(cfg)


def test_hooks_and_imports_of_the_user_are_no_matter() -> None:
    cfg = read_config()
    cfg.custom_imports = dict(imports=['lighthead', 'my_hooks'])
    cfg.custom_hooks = [dict(type='MyHook', path='/etc/passwd', function=print)]
    assert 'MyHook' not in describe(cfg).to_json()


def test_scopes_of_mmdets_bases_are_no_matter() -> None:
    cfg = read_config()
    cfg.model._scope_ = 'mmdet'
    cfg.model.rpn_head.bbox_coder.update(_scope_='mmdet', type='mmdet.DeltaXYWHBBoxCoder')
    assert describe(cfg) == describe(read_config())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model.roi_head.bbox_head.num_shared_fcs': 10**9}, 'num_shared_fcs=1000000000'),
        ({'model.roi_head.bbox_head.fc_out_channels': 10**6}, 'fc_out_channels=1000000'),
        ({'model.neck.kernel_size': 0}, r'neck\.kernel_size=0'),
        ({'model.neck.colour': 'red'}, r"neck\.colour='red'"),
        ({'model.test_cfg.rcnn.score_thr': float('nan')}, 'score_thr=nan'),
        ({'model.test_cfg.rcnn.nms.sigma': 0.5}, 'nms has no sigma'),
        ({'model.test_cfg.rpn.max_per_img': 0}, r'rpn\.max_per_img=0'),
        ({'model.data_preprocessor.pad_size_divisor': 10**6}, 'pad_divisor=1000000'),
        ({'model.data_preprocessor.std': [1.0, 0.0, 1.0]}, r'std\.1=0\.0'),
        ({'test_dataloader.dataset.pipeline.1.scale': (10**6, 800)}, r'scale\.0=1000000'),
        ({'test_dataloader.dataset.pipeline.1.scale': (8000, 8000)}, 'more than 16777216 pixels'),
        ({'test_dataloader.dataset.pipeline.1.type': 'RandomCrop'}, 'step RandomCrop'),
        ({'model.backbone.widen_factor': 3.0}, r"none of the paper's"),
        (
            {
                'model.test_cfg.rpn.max_per_img': 20_000,
                'model.roi_head.bbox_head.num_classes': 1001,
            },
            'more than 20000000 scores',
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_what_could_not_be_served_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        describe(read_config(**changes))
    assert not isinstance(caught.value, ForeignPartError)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model.backbone.type': 'ResNet'}, r'model\.backbone is a ResNet'),
        ({'model.backbone.norm_cfg': dict(type='GN', num_groups=4)}, r'norm_cfg is a GN'),
        ({'model.roi_head.type': 'StandardRoIHead'}, r'model\.roi_head is a StandardRoIHead'),
        ({'model.data_preprocessor.type': 'MyPreprocessor'}, 'is a MyPreprocessor'),
    ],
)
def test_detectors_with_foreign_parts_train_without_a_specification(
    changes: dict, message: str
) -> None:
    with pytest.raises(ForeignPartError, match=message):
        describe(read_config(**changes))


def test_mmdets_own_detectors_train_without_a_specification() -> None:
    cfg = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    with pytest.raises(ForeignPartError, match='model is a FasterRCNN'):
        describe(cfg)


def backbones() -> dict[str, type]:
    return {
        name: kind
        for name, kind in MODELS.module_dict.items()
        if isinstance(kind, type) and issubclass(kind, StagedBackbone)
    }


def specs() -> dict[str, type]:
    """Each backbone's type and its class of the schema."""
    classes = vars(backbone_spec).values()
    kinds = [
        c for c in classes if isinstance(c, type) and issubclass(c, backbone_spec.BackboneSpec)
    ]
    return {
        name: kind
        for kind in kinds
        if 'type' in kind.model_fields
        for name in kind.model_fields['type'].annotation.__args__
    }


def test_every_backbone_is_served() -> None:
    assert specs().keys() == backbones().keys()


@pytest.mark.parametrize('name', sorted(specs()))
def test_every_argument_of_a_backbone_is_served_or_for_training(name: str) -> None:
    arguments = {
        parameter
        for kind in backbones()[name].__mro__
        if issubclass(kind, StagedBackbone)
        for parameter, value in inspect.signature(kind.__init__).parameters.items()
        if value.kind is not value.VAR_KEYWORD
    }
    own = arguments - {'self', 'layout', 'groups'}
    assert set(specs()[name].model_fields) - {'type'} == own - TRAINING_ONLY
