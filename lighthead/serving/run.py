"""``lighthead serve`` and ``lighthead demo``: from the command line to a server and its end."""

import ipaddress
import socket
import sys

import uvicorn

from lighthead.errors import UserError
from lighthead.inference.jobs.stopping import StopRequest
from lighthead.serving.app import create_app
from lighthead.serving.options import ServeOptions
from lighthead.serving.service import Service

LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]', '::1']
GRACE_SECONDS = 30
"""Requests in flight may take so long after a signal."""


class AnnouncingServer(uvicorn.Server):
    """Prints a line when it can be reached."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self.line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and print the line."""
        await super().startup(sockets)
        print(self.line, flush=True)


def serve(options: ServeOptions) -> int:
    """Serve until a signal comes; requests in flight are answered first.

    Returns:
        128 + the signal's number.

    Raises:
        UserError: the address or the model cannot be used.
    """
    listener = bound_socket(options.host, options.port)
    with listener:
        service = Service(options.open_detector(options.checkpoint), options)
        service.warm_up()
        loopback = is_loopback(options.host)
        if not loopback:
            text = f'{options.host} can be reached from other machines, and nobody has to log in.'
            print(f'warning: {text}', file=sys.stderr)
        hosts = [*LOOPBACK_NAMES, *(options.allowed_host or [])]
        config = uvicorn.Config(
            create_app(service, hosts if loopback or options.allowed_host else None),
            log_level='warning',
            access_log=False,
            server_header=False,
            lifespan='on',
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        with StopRequest() as stop:
            AnnouncingServer(config, _announcement(options, service, listener)).run([listener])
    return stop.exit_code if stop else 0


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket of an address, not listening yet.

    Raises:
        UserError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UserError(
            f'{host}, port {port}, cannot be served ({error.strerror or error}): give another '
            '--port, or another --host.'
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _announcement(options: ServeOptions, service: Service, listener: socket.socket) -> str:
    host = f'[{options.host}]' if ':' in options.host else options.host
    address = f'http://{host}:{listener.getsockname()[1]}'
    what = 'open it in a browser' if options.page else f'POST an image to {address}/detect'
    return f'{options.checkpoint} on {service.detector.device}: {address} ({what}; Ctrl-C stops)'
