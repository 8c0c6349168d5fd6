"""How the tests start several processes with torchrun."""

import socket


def torchrun(*layout: str) -> list[str]:
    """Its command line on this machine; ``layout`` says how many machines and processes."""
    return ['-m', 'torch.distributed.run', '--master_addr=127.0.0.1', *layout]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
