"""Step 3, build: the runner of a checked config."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from lighthead.config.check import CheckedRun
from lighthead.engine import runner  # noqa: F401  (it registers)
from lighthead.errors import UserError

BUILDERS = {
    # function of mmengine that builds from a config: the variable that holds it
    'build_runner_from_cfg': 'cfg',
    'build_from_cfg': 'cfg',
    'build_dataloader': 'dataloader',
    'build_evaluator': 'evaluator',
    'build_train_loop': 'loop',
    'build_val_loop': 'loop',
    'build_optim_wrapper': 'cfg',
    'build_param_scheduler': 'scheduler',
    'initialize': 'init_cfg',
    'init_weights': 'self',
    'before_run': 'self',
}
WORDS = 500
"""Characters of an error that are repeated; some print the whole network."""


def build(run: CheckedRun) -> Runner:
    """The runner that ``cfg.runner_type`` names.

    Raises:
        UserError: a value of the config is none that the runner takes.
    """
    with naming_mistakes(run.cfg):
        return RUNNERS.build(run.cfg)


@contextmanager
def naming_mistakes(cfg: Config) -> Iterator[None]:
    """Report a value that a class does not take as the user's mistake, with its key.

    The runner builds data sets, optimizer and hooks when they are needed, so
    this goes around the whole run. Whatever a constructor raises counts; errors outside of
    building, and memory that runs out, pass unchanged.

    Raises:
        UserError: building something from the config failed.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        parts = _being_built(error)
        if not parts:
            raise
        raise UserError(
            f'{_name(cfg.to_dict(), parts)} cannot be built with these values '
            f'({type(error).__name__}: {str(error)[:WORDS]}): correct the config or --cfg-options.'
        ) from error


def _being_built(error: BaseException | None) -> list[Any]:
    """The parts of the config that were being built when an error was raised, the inner first.

    mmengine raises some errors again (``call_hook``): the first one's frames say what was built.
    """
    parts: list[Any] = []
    while error is not None and not parts:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            code = frame.f_code
            if code.co_name in BUILDERS and 'mmengine' in code.co_filename:
                parts.insert(0, _part(frame.f_locals.get(BUILDERS[code.co_name])))
        error = error.__context__
    return parts


def _part(value: Any) -> Any:
    """What of the config a builder's variable stands for."""
    if isinstance(value, Hook):
        return dict(type=type(value).__name__)
    return value.init_cfg if isinstance(value, BaseModule) else value


def _name(cfg: Mapping, parts: list[Any]) -> str:
    """The key of the innermost part that is in the config, as it is or by its type."""
    places = list(_places(cfg))
    for part in parts:
        kind = _type(part)
        same = [path for path, node in places if part and node == part]
        alike = [path for path, node in places if kind and _type(node) == kind]
        if same or alike:
            return f'{(same or alike)[0]}{f" ({kind})" if kind else ""}'
    return 'The config'


def _type(node: object) -> str | None:
    kind = node.get('type') if isinstance(node, Mapping) else None
    return kind if isinstance(kind, str) else None


def _places(node: object, path: str = '') -> Iterator[tuple[str, Mapping | list | tuple]]:
    """All dicts and lists inside a config, with their dotted paths."""
    if not isinstance(node, Mapping | list | tuple):
        return
    if path:
        yield path, node
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        yield from _places(value, f'{path}.{key}' if path else str(key))
