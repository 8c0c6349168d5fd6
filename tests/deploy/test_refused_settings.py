"""Suppression that the fast path and exported files do not carry out is refused, not ignored."""

import pytest

from lighthead.deploy.test_settings import Settings
from lighthead.errors import UserError

from ..small_detector import random_detector, small_config


@pytest.mark.parametrize('stage', ['rpn', 'rcnn'])
@pytest.mark.parametrize('change', [dict(type='soft_nms'), dict(class_agnostic=True)], ids=str)
def test_other_suppression(stage: str, change: dict) -> None:
    cfg = small_config()
    assert Settings.fits(random_detector(cfg))
    cfg.model.test_cfg[stage].nms.update(change)
    model = random_detector(cfg)
    with pytest.raises(UserError, match=rf'test_cfg\.{stage}\.nms=.* cannot be exported'):
        Settings.from_model(model)
    assert not Settings.fits(model)
