"""The code blocks of the pages, and what the comment above a block says about running it."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('data/*.md')])
BLOCK = re.compile(r'(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```', re.M | re.S)
NOT_RUN, SHORTENED = 'not run: ', 'run with '
BASH = ('bash', 'sh', 'console')


class Block(NamedTuple):
    """A code block; ``comment`` is the text of the HTML comment on the line above it.

    ``not run: REASON`` keeps the test from running it; ``run with OLD => NEW, OLD => NEW``
    replaces parts of it, so that what takes hours is run for seconds.
    """

    line: int
    language: str
    code: str
    comment: str

    @property
    def runs(self) -> bool:
        """Whether the test runs it."""
        known = self.language in (*BASH, 'python')
        return known and not self.comment.startswith(NOT_RUN)

    @property
    def shortened(self) -> str:
        """The code as the test runs it."""
        code = self.code
        if self.comment.startswith(SHORTENED):
            for change in self.comment.removeprefix(SHORTENED).split(', '):
                old, new = change.split(' => ')
                assert old in code, f'line {self.line}: the block has no {old!r}'
                code = code.replace(old, new)
        return code


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in their order."""
    text = page.read_text(encoding='utf-8')
    return [
        Block(text.count('\n', 0, match.start()) + 1, match[2], match[3], match[1] or '')
        for match in BLOCK.finditer(text)
    ]
