"""Which devices of torch are there."""

import torch

from lighthead.errors import UserError


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device to use, a GPU where one is there for None; UserError where it is not there."""
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"There is no device {device!r}: try 'cpu', 'cuda' or 'cuda:0'.") from error
    if chosen.type == 'cpu':
        return chosen
    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    accelerator = torch.accelerator.current_accelerator() if count else None
    kind = None if accelerator is None else accelerator.type
    if kind != chosen.type or (chosen.index or 0) >= count:
        there = f'there are {count} of type {kind}' if count else 'there is none here'
        raise UserError(f"Device {device!r} is not available ({there}): choose 'cpu'.")
    return chosen
