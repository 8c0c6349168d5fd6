"""Starts ``lighthead`` commands in forked processes, so that imports are paid for once.

    python -m tests.fork_server < commands

Each line of input is a JSON list, a log file and the words after ``lighthead``. Answers: the
process's id, then its exit code (negative: the signal that killed it).
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600
"""Seconds until a process must have ended."""


class ForkServer:
    """Starts commands, one after the other, and kills them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.server = subprocess.Popen(
            [sys.executable, '-m', 'tests.fork_server'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
        )
        self.answers: queue.Queue[int] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.server.stdout:
            self.answers.put(int(line))

    def start(self, *words: object) -> None:
        """Start ``lighthead`` with these words."""
        self.server.stdin.write(json.dumps([str(self.log), *map(str, words)]) + '\n')
        self.server.stdin.flush()
        self.pid = self.answers.get(timeout=PATIENCE)

    def exit_code(self) -> int:
        """Wait for the process's own end."""
        return self.answers.get(timeout=PATIENCE)

    def run(self, *words: object) -> float:
        """A process that nobody kills; the seconds that it took."""
        begun = time.monotonic()
        self.start(*words)
        code = self.exit_code()
        assert code == 0, f'exit code {code}: {words}: {self.log.read_text()[-3000:]}'
        return time.monotonic() - begun

    def killed_after(self, seconds: float) -> bool:
        """SIGKILL after so many seconds; False where the process had ended well by itself."""
        try:
            code = self.answers.get(timeout=seconds)
        except queue.Empty:
            os.kill(self.pid, signal.SIGKILL)
            code = self.answers.get(timeout=PATIENCE)
        assert code in (0, -signal.SIGKILL), f'exit code {code}: {self.log.read_text()[-3000:]}'
        return code < 0

    def close(self) -> None:
        """End the server."""
        self.server.stdin.close()
        self.server.wait(timeout=PATIENCE)


def serve() -> None:
    """See the module's docstring."""
    import torch
    import torch._dynamo

    with contextlib.suppress(ImportError):  # the exporter's, where they are installed
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401

    import lighthead.commands.export_job
    import lighthead.commands.test_job
    import lighthead.commands.train_job
    import lighthead.data.health
    import lighthead.inference.jobs.run  # noqa: F401
    from lighthead.cli import main

    torch.set_num_threads(1)
    for line in sys.stdin:
        log, *words = json.loads(line)
        pid = os.fork()
        if pid == 0:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for number in (1, 2):
                os.dup2(descriptor, number)
            code = main(words)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == '__main__':
    serve()
