"""How every command reads a config: config < ``--data-root`` < ``--cfg-options``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction

from lighthead.data.layout import apply_data_root
from lighthead.errors import UserError


def parse_cfg_options(texts: Sequence[str] | None) -> dict:
    """``KEY=VALUE`` texts as a dict of values, interpreted as mmdetection does."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *texts] if texts else []).cfg_options


def load_config(path: str, data_root: str | None = None, cfg_options: dict | None = None) -> Config:
    """Read a config file and apply the command line's changes to it.

    Args:
        path: A text config; its bases may be ``mmdet::`` ones.
        data_root: A folder in COCO layout that replaces the config's data.
        cfg_options: Dotted keys and their values.

    Raises:
        UserError: if the file is missing or broken, or an option does not fit it.
    """
    if not Path(path).is_file():
        raise UserError(f'There is no config file {path}.')
    try:
        cfg = Config.fromfile(path)
    except (SyntaxError, NameError, KeyError, TypeError, ImportError, OSError) as error:
        raise UserError(
            f'The config {path} cannot be read ({type(error).__name__}: {error}).'
        ) from error
    if data_root:
        apply_data_root(cfg, data_root)
    if cfg_options:
        try:
            cfg.merge_from_dict(cfg_options)
        except (KeyError, TypeError, IndexError) as error:
            raise UserError(f'--cfg-options does not fit {path}: {error}.') from error
    return cfg


def resolve_work_dir(cfg: Config, config_path: str, work_dir: str | None) -> str:
    """The work dir: flag, else the config's, else ``work_dirs/<name of the config>``."""
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{Path(config_path).stem}'
    if Path(cfg.work_dir).is_file():
        raise UserError(f'The work dir {cfg.work_dir} is a file: choose another --work-dir.')
    return cfg.work_dir
