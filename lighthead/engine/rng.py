"""State of every random generator that training draws from, as plain data."""

import random

import numpy as np
import torch


def get_rng_state() -> dict:
    """States of Python's, NumPy's and torch's generators (every visible CUDA device)."""
    version, internal, gauss = random.getstate()
    twister = np.random.get_state(legacy=False)
    return {
        'python': {'version': version, 'state': list(internal), 'gauss': gauss},
        'numpy': {
            'name': str(twister['bit_generator']),
            'keys': torch.from_numpy(twister['state']['key'].astype(np.int64)),
            'position': int(twister['state']['pos']),
            'has_gauss': int(twister['has_gauss']),
            'cached': float(twister['gauss']),
        },
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_state(state: dict) -> None:
    """Put back what :func:`get_rng_state` returned.

    CUDA states are put back where the same number of devices is visible.
    """
    python, numpy = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['state']), python['gauss']))
    keys = numpy['keys'].numpy().astype(np.uint32)
    np.random.set_state(
        (numpy['name'], keys, numpy['position'], numpy['has_gauss'], numpy['cached'])
    )
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available() and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([device_state.cpu() for device_state in state['cuda']])
