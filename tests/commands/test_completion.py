"""The shell completes sub-commands and flags: asked of a real bash, as its Tab key does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SCRIPT = """
eval "$(register-python-argcomplete lighthead)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_WORDBREAKS=$' \\t\\n=:'
read -ra COMP_WORDS <<< "$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete lighthead
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ('typed', 'offered'),
    [
        ('lighthead tr', {'train'}),
        ('lighthead train --ep', {'--epochs'}),
        ('lighthead speed ta', {'table8'}),
        ('lighthead export model.pth --format on', {'onnx'}),
    ],
)
def test_bash_completes(typed: str, offered: set[str]) -> None:
    pytest.importorskip('argcomplete', reason="needs the extra 'completion'")
    if not (BIN / 'lighthead').is_file():
        pytest.skip('the command lighthead is not installed here')
    done = subprocess.run(
        ['bash', '-c', SCRIPT, 'bash', typed],
        env=os.environ
        | {'PATH': f'{BIN}{os.pathsep}{os.environ["PATH"]}', 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert {word.strip() for word in done.stdout.split('\n') if word.strip()} == offered, (
        done.stderr
    )
