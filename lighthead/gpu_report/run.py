"""One command for whoever has a GPU: is it right there, and how fast?

Sections are independent: one that fails says so on the page (its traceback is printed), and the
others are measured all the same. What this machine cannot measure is 'not measured', with the
reason. After :data:`MINUTES` no further section begins.
"""

import tempfile
import time
import traceback
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from lighthead.data.demo import write_demo
from lighthead.gpu_report.context import NotMeasuredError, Run
from lighthead.gpu_report.page import layout
from lighthead.gpu_report.sections import SECTIONS
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.record import Record

__all__ = ['layout', 'measure']

MINUTES = 25


def measure(bench: Bench, args: Namespace) -> Record:
    """All sections; those that failed are listed in ``findings['failed']``."""
    record = bench.record('gpu', 'lighthead on a GPU')
    with tempfile.TemporaryDirectory() as folder, bench.stoppable():
        root = Path(args.data_root) if args.data_root else Path(folder)
        if not args.data_root:
            write_demo(root)
        run = Run(bench, record, root, time.monotonic() + 60 * MINUTES)
        record.findings = {'sections': {}, 'failed': {}, 'sides': run.sides}
        for name, section in SECTIONS.items():
            with bench.console.status(name):
                _run_section(run, name, section)
            if bench.interrupted:
                break
    return record


def _run_section(run: Run, name: str, section: Callable[[Run], dict]) -> None:
    begin = time.monotonic()
    try:
        if begin > run.deadline:
            raise NotMeasuredError(f'the {MINUTES} minutes were over')
        result = section(run)
    except NotMeasuredError as reason:
        result = {'not measured': str(reason)}
    except Exception as error:  # what a GPU does here is unknown: the other sections go on
        text = f'{type(error).__name__}: {error}'.splitlines()[0][:300]
        run.record.findings['failed'][name] = text
        traceback.print_exc()
        result = {'failed': text}
    seconds = time.monotonic() - begin
    run.record.findings['sections'][name] = result | {'seconds': seconds}
    run.bench.console.print(f'{name}: {seconds:.0f} s')
