"""Values that a class does not take end in one error message with their key."""

from pathlib import Path

import pytest
from mmdet.registry import HOOKS
from mmengine.config import Config

from lighthead.config.build import build, naming_mistakes
from lighthead.config.check import CheckedRun
from lighthead.errors import UserError

RUN = CheckedRun(Config(dict(hooks=dict(a=dict(type='LoggerHook')))), Path())


def test_what_was_being_built_is_named():
    with (
        pytest.raises(UserError, match=r'hooks\.a \(LoggerHook\) cannot be built .*TypeError'),
        naming_mistakes(RUN),
    ):
        HOOKS.build(dict(type='LoggerHook', interval=[]))


def test_what_the_runner_does_not_take():
    run = CheckedRun(Config(dict(model=dict(type='BaseModel'), work_dir=[])), Path())
    with pytest.raises(UserError, match=r'The config cannot be built .*TypeError'):
        build(run)


def test_other_errors_pass():
    with pytest.raises(TypeError), naming_mistakes(RUN):
        len(3)
    with pytest.raises(UserError, match='as it is'), naming_mistakes(RUN):
        raise UserError('as it is')
