"""Conversion of a foreign checkpoint into one that loads without unpickling."""

from pathlib import Path
from typing import Any

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file, save_checkpoint_file
from lighthead.checkpoint.plain_data import to_plain
from lighthead.errors import UserError


def convert_checkpoint(source: Path, target: Path, trust: bool) -> list[str]:
    """Write the weights and plain meta data of ``source`` to ``target``.

    Returns:
        The meta fields that were left out because they are not plain data.

    Raises:
        UserError: ``source`` cannot be converted, or is ``target`` itself.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise UserError(f'{target} is the file to convert: choose another name for the new one.')
    checkpoint = load_checkpoint_file(source, trust=trust)
    dropped = [key for key, value in checkpoint['meta'].items() if not _is_plain(value)]
    meta = {key: value for key, value in checkpoint['meta'].items() if key not in dropped}
    weights = to_plain(checkpoint['state_dict'], 'state_dict')
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, target)
    return dropped


def _is_plain(value: Any) -> bool:
    try:
        to_plain(value)
    except UserError:
        return False
    return True
