"""The package's types are right, and a program that imports it sees them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def mypy(*arguments: str, cwd: Path = ROOT) -> tuple[int, str]:
    """Exit code and report; half a minute the first time, seconds with mypy's cache."""
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--no-color-output', *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {'MYPYPATH': str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_package_has_no_type_errors():
    code, report = mypy()
    assert code == 0, report
    assert 'Success: no issues found' in report


def test_a_program_sees_the_types_of_the_package(tmp_path):
    program = tmp_path / 'program.py'
    program.write_text(
        'from lighthead import Detector\n'
        'detector = Detector("best.pth")\n'
        'reveal_type(detector("photo.jpg"))\n'
        'reveal_type(detector(["photo.jpg"]))\n'
        'detector.device = 3\n'
        'detector.detct("photo.jpg")\n'
    )
    code, report = mypy('--config-file', str(ROOT / 'pyproject.toml'), str(program))
    assert code == 1, report
    assert '3: note: Revealed type is "lighthead.inference.results.Detections"' in report
    assert '4: note: Revealed type is "list[lighthead.inference.results.Detections]"' in report
    assert '6: error: "Detector" has no attribute "detct"' in report
    assert 'Found 1 error' in report
