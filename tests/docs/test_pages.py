"""What the pages say can be done: links lead somewhere, commands have these flags.

``test_blocks.py`` runs what takes seconds.
"""

import re
import shlex
from pathlib import Path

import pytest

from lighthead.cli import build_parser

from .code_blocks import BASH, PAGES, ROOT, blocks_of

LINK = re.compile(r'\]\(([^)#\s]+)(?:#[^)]*)?\)')
COMMAND = re.compile(r'(?:^|&& |\s)(?:lighthead|python tools/(\w+)\.py) (.*)$')
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def commands_of(page: Path) -> list[list[str]]:
    """Arguments of every ``lighthead`` and ``tools`` command in the bash blocks of a page."""
    commands = []
    for block in blocks_of(page):
        if block.language not in BASH:
            continue
        for line in block.code.replace('\\\n', ' ').splitlines():
            match = COMMAND.search(line.split(' #')[0].rstrip())
            if match and not line.lstrip().startswith('#'):
                tool = [match[1]] if match[1] else []
                commands.append(tool + shlex.split(match[2]))
    return [command for command in commands if command != ['make_demo_data']]


def test_pages_and_commands_are_found():
    assert len(PAGES) > 10
    assert sum(len(commands_of(page)) for page in PAGES) > 20


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    links = [link for link in LINK.findall(text) if not link.startswith(('http', 'mailto:'))]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_commands_have_these_flags(page, capsys):
    parser = build_parser()
    for command in commands_of(page):
        if command and command[0] != 'COMMAND':
            try:
                parser.parse_args(command)
            except SystemExit as error:
                if error.code:
                    pytest.fail(f'{command}: {capsys.readouterr().err}')


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_python_is_valid(page):
    for block in blocks_of(page):
        if block.language == 'python':
            compile(block.code, str(page), 'exec')


def test_readme_is_short():
    assert len((ROOT / 'README.md').read_text().split()) <= 1500
