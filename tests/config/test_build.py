"""Values that a class does not take end in one error message with their key."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import BaseModule
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.nn import Conv2d

from lighthead.config.build import WORDS, build, naming_mistakes
from lighthead.config.check import CheckedRun
from lighthead.errors import UserError

PARTS = Registry('part')


def checked(**cfg) -> CheckedRun:
    return CheckedRun(Config(cfg), Path())


RUN = checked(hooks=dict(a=dict(type='LoggerHook')))


@PARTS.register_module()
def fail(error: Exception) -> None:
    raise error


def test_what_was_being_built_is_named():
    with (
        pytest.raises(UserError, match=r'hooks\.a \(LoggerHook\) cannot be built .*TypeError'),
        naming_mistakes(RUN.cfg),
    ):
        HOOKS.build(dict(type='LoggerHook', interval=[]))


@pytest.mark.parametrize('kind', [RuntimeError, OverflowError, ZeroDivisionError, SyntaxError])
def test_whatever_a_constructor_raises_is_a_mistake(kind):
    run = checked(part=dict(type='fail'))
    with (
        pytest.raises(UserError, match=rf'^part \(fail\) .*{kind.__name__}: odd') as raised,
        naming_mistakes(run.cfg),
    ):
        PARTS.build(dict(type='fail', error=kind('odd')))
    assert isinstance(raised.value.__cause__, kind)  # --debug prints it


@pytest.mark.parametrize('kind', [MemoryError, KeyboardInterrupt])
def test_no_memory_and_no_time_are_no_mistakes(kind):
    with pytest.raises(kind), naming_mistakes(RUN.cfg):
        PARTS.build(dict(type='fail', error=kind()))


def test_of_two_parts_of_a_type_that_with_the_same_values_is_named():
    parts = [dict(type='LoggerHook'), dict(type='LoggerHook', interval=[])]
    with pytest.raises(UserError, match=r'^hooks\.1 '), naming_mistakes(checked(hooks=parts).cfg):
        HOOKS.build(parts[1])


def test_a_part_without_a_type_is_named():
    with (
        pytest.raises(UserError, match=r'^hook cannot'),
        naming_mistakes(checked(hook=dict(a=1)).cfg),
    ):
        HOOKS.build(dict(a=1))


def test_initial_weights_are_named():
    run = checked(head=dict(init_cfg=[3]))
    with pytest.raises(UserError, match=r'^head\.init_cfg cannot'), naming_mistakes(run.cfg):
        BaseModule(init_cfg=[3]).init_weights()


def test_the_kind_of_initial_weights_is_named():
    init_cfg = dict(type='Normal', layer='Conv2d', std='x')
    module = BaseModule(init_cfg)
    module.layer = Conv2d(1, 1, 1)
    run = checked(head=dict(init_cfg=init_cfg))
    with pytest.raises(UserError, match=r'^head\.init_cfg \(Normal\)'), naming_mistakes(run.cfg):
        module.init_weights()


def test_the_hook_that_builds_before_the_run_is_named():
    """mmengine's ``call_hook`` raises a TypeError again, without where it came from."""
    hook = EMAHook(ema_type='ExponentialMovingAverage', odd=1)
    runner = SimpleNamespace(hooks=[hook], _hooks=[hook], model=Conv2d(1, 1, 1))
    run = checked(custom_hooks=[dict(type='EMAHook', odd=1)])
    with (
        pytest.raises(UserError, match=r'^custom_hooks\.0 \(EMAHook\) .*argument .odd'),
        naming_mistakes(run.cfg),
    ):
        Runner.call_hook(runner, 'before_run')


def test_a_long_error_is_cut():
    with pytest.raises(UserError, match='correct the config') as raised, naming_mistakes(RUN.cfg):
        PARTS.build(dict(type='fail', error=ValueError('x' * 10**5)))
    assert len(str(raised.value)) < WORDS + 200


def test_what_the_runner_does_not_take():
    with pytest.raises(UserError, match=r'The config cannot be built .*TypeError'):
        build(checked(model=dict(type='BaseModel'), work_dir=[]))


def test_other_errors_pass():
    with pytest.raises(TypeError), naming_mistakes(RUN.cfg):
        len(3)
    with pytest.raises(UserError, match='as it is'), naming_mistakes(RUN.cfg):
        raise UserError('as it is')
