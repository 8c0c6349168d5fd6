"""Error messages stay readable whatever a file or an option puts into them."""

import pytest

from lighthead.cli import main
from lighthead.errors import EXIT_USER, LONGEST_MESSAGE, UserError


def test_a_long_message_loses_its_middle():
    text = str(UserError(f'The file {"x" * 10**5} is odd: choose another.'))
    assert text.startswith('The file xxx')
    assert text.endswith('x is odd: choose another.')
    assert len(text) <= LONGEST_MESSAGE
    assert str(UserError('short')) == 'short'


def test_a_long_argument_is_not_printed_whole(capsys):
    with pytest.raises(SystemExit) as end:
        main(['infer', 'model.onnx', 'a.jpg', '--threads', '9' * 10**5])
    assert end.value.code == EXIT_USER
    assert len(capsys.readouterr().err) <= LONGEST_MESSAGE + 1
