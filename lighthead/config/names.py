"""Configs by name: those that ship with lighthead, and the user's own files."""

import difflib
from pathlib import Path

from lighthead.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
PRIVATE = '_base_'
"""The folder of what configs inherit from."""


def config_folder() -> Path:
    """The configs that ship: in the package of a wheel, next to the package in a checkout."""
    installed = PACKAGE / 'configs'
    return installed if installed.is_dir() else PACKAGE.parent / 'configs'


def config_names() -> list[str]:
    """The names of all configs that ship, e.g. ``table7/xception_40m``."""
    folder = config_folder()
    paths = (path.relative_to(folder) for path in folder.rglob('*.py'))
    return sorted(path.with_suffix('').as_posix() for path in paths if PRIVATE not in path.parts)


def find_config(name: str) -> Path:
    """The file of a config.

    Args:
        name: The path of a file, or the name of a config that ships, with or
            without ``configs/`` before it and ``.py`` behind it.

    Raises:
        UserError: there is none; similar names are given.
    """
    if Path(name).is_file():
        return Path(name)
    bare = name.removeprefix('configs/').removesuffix('.py')
    names = config_names()
    if bare in names:
        return config_folder() / f'{bare}.py'
    similar = difflib.get_close_matches(bare, names, n=3, cutoff=0.5)
    same_stem = [other for other in names if Path(other).name == Path(bare).name]
    known = ', '.join(dict.fromkeys([*same_stem, *similar])) or ', '.join(names)
    raise UserError(
        f'There is no config file {name}, and no config of that name ships: is it one of {known}?'
    )
