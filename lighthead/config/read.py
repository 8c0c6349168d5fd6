"""Step 1, read: a config file, the flags of the command line, and ``--cfg-options``.

Precedence, lowest first: the config with its bases, ``--data-root``, the flags
of :data:`lighthead.config.flags.FLAGS` (``--epochs``, ``--img-scale``, ...),
``--cfg-options``; ``--auto`` lies below the other flags. Nothing is looked up on disk apart from
the files that these name.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, DictAction

from lighthead.config.keys import check_option_keys
from lighthead.config.kinds import check_kinds
from lighthead.config.names import find_config
from lighthead.errors import UserError

Change = Callable[[Config], object]
"""A change of a config, in place."""


@dataclass(frozen=True)
class RunConfig:
    """What the user asked for, merged and not yet checked."""

    cfg: Config
    path: Path
    """The config file."""

    def changed(self, changes: Sequence[Change], cfg_options: Mapping | None) -> 'RunConfig':
        """This config with changes, in place; see :func:`read`."""
        for change in changes:
            change(self.cfg)
        merge_options(self.cfg, cfg_options or {})
        return self


def read(
    name: str, changes: Sequence[Change] = (), cfg_options: Mapping | None = None
) -> RunConfig:
    """Read a config by name or path, and change it.

    Args:
        name: See :func:`lighthead.config.names.find_config`.
        changes: Applied in their order, before ``cfg_options``.
        cfg_options: Dotted keys and their values.

    Raises:
        UserError: the file is missing or broken, a value in it is of another kind than whoever
            reads it expects, or an option does not fit it.
    """
    path = find_config(name)
    cfg = read_file(path)
    check_kinds(cfg)
    return RunConfig(cfg, path).changed(changes, cfg_options)


def merge_options(cfg: Config, options: Mapping) -> None:
    """Merge dotted keys and their values into a config, in place.

    Raises:
        UserError: one does not fit it.
    """
    if not options:
        return
    check_option_keys(cfg, options)
    try:
        cfg.merge_from_dict(dict(options))
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f'--cfg-options does not fit {cfg.filename}: {error}.') from error


def read_file(path: Path) -> Config:
    """Execute a config file with its bases.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Config.fromfile(path)
    except Exception as error:  # the file is Python: anything can happen in it
        reason = (str(error).strip().splitlines() or [''])[-1]
        raise UserError(
            f'The config {path} cannot be read ({type(error).__name__}: {reason}).'
        ) from error


def parse_cfg_options(texts: Sequence[str] | Mapping | None) -> dict:
    """``KEY=VALUE`` texts as a dict of values, interpreted as mmdetection does.

    What is a mapping already is returned as a dict.

    Raises:
        UserError: a value is no list, though it begins as one.
    """
    if isinstance(texts, Mapping):
        return dict(texts)
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    try:
        return parser.parse_args(['--cfg-options', *texts] if texts else []).cfg_options
    except (AssertionError, ValueError) as error:  # of mmengine's reader of lists
        raise UserError(f'--cfg-options: a value cannot be read ({error}).') from error
