"""Step 3, build: the runner of a checked config."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from lighthead.config.check import CheckedRun
from lighthead.engine import runner  # noqa: F401  (it registers)
from lighthead.errors import UserError

BUILDERS = {
    # function of mmengine that builds from a config: the variable that holds it
    'build_from_cfg': 'cfg',
    'build_dataloader': 'dataloader',
    'build_optim_wrapper': 'cfg',
}
MISTAKES = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What classes raise for values that they do not take."""


def build(run: CheckedRun) -> Runner:
    """The runner that ``cfg.runner_type`` names.

    Raises:
        UserError: a value of the config is none that the runner takes.
    """
    try:
        return RUNNERS.build(run.cfg)
    except MISTAKES as error:
        if _built_last(error.__traceback__) is not None:
            raise  # naming_mistakes() names the part
        raise UserError(
            f'The config cannot be built with these values ({type(error).__name__}: {error}): '
            'correct the config or --cfg-options.'
        ) from error


@contextmanager
def naming_mistakes(run: CheckedRun) -> Iterator[None]:
    """Report a value that a class does not take as the user's mistake, with its key.

    The runner builds data sets, optimizer and hooks when they are needed, so
    this goes around the whole run; errors outside of building pass unchanged.

    Raises:
        UserError: building something from the config failed.
    """
    try:
        yield
    except MISTAKES as error:
        node = _built_last(error.__traceback__)
        if node is None:
            raise
        name = node.get('type')
        where = next(_paths(run.cfg.to_dict(), name), None) if isinstance(name, str) else None
        raise UserError(
            f'{where or "The config"}{f" ({name})" if name else ""} cannot be built with these '
            f'values ({type(error).__name__}: {error}): correct the config or --cfg-options.'
        ) from error


def _built_last(trace: TracebackType | None) -> Mapping | None:
    """The part of the config that was being built when an error was raised, if any was."""
    node = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name in BUILDERS and 'mmengine' in code.co_filename:
            node = trace.tb_frame.f_locals.get(BUILDERS[code.co_name], node)
        trace = trace.tb_next
    return node if isinstance(node, Mapping) else None


def _paths(node: object, name: str, path: str = '') -> Iterator[str]:
    """Dotted paths of the dicts with ``type=name``."""
    if isinstance(node, Mapping):
        if node.get('type') == name:
            yield path
        for key, value in node.items():
            yield from _paths(value, name, f'{path}.{key}' if path else key)
    elif isinstance(node, list | tuple):
        for number, item in enumerate(node):
            yield from _paths(item, name, f'{path}.{number}')
