"""Ctrl-C and SIGTERM end a training after the current iteration, with a checkpoint."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Notes SIGINT and SIGTERM inside a ``with`` block instead of ending the process at once.

    While :attr:`finish_iteration` is set, the first signal is only noted, and
    the training loop's hooks save and call :meth:`raise_if_requested`. Else, and
    at the second signal, the exception is raised where the process stands.

    Attributes:
        finish_iteration: Whether the process may go on to the end of the iteration.
    """

    def __init__(self) -> None:
        self.finish_iteration = False
        self._received: int | None = None
        self._process = os.getpid()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> 'StopRequest':
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def name(self) -> str | None:
        """Name of the signal that was received, or None."""
        return None if self._received is None else signal.Signals(self._received).name

    def raise_if_requested(self) -> None:
        """Raise what ends the process, if a signal was received.

        Raises:
            KeyboardInterrupt: after SIGINT, for exit code 130.
            SystemExit: with code 143 after SIGTERM, as a shell reports that signal.
        """
        if self._received == signal.SIGINT:
            raise KeyboardInterrupt
        if self._received is not None:
            raise SystemExit(128 + self._received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a data loader's worker: its parent ends it
            return
        again, self._received = self._received is not None, number
        if again or not self.finish_iteration:
            self.raise_if_requested()
        text = 'Stopping after this iteration; once more to stop at once.'
        print(f'\n{signal.Signals(number).name}: {text}', file=sys.stderr, flush=True)
