"""The command ``lighthead``: light, one line for each mistake, the same flags as ``tools/``."""

import resource
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from lighthead import cli
from lighthead.errors import InstallError, UserError
from lighthead.files import write_text_file

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = [
    ([], 'the following arguments are required: COMMAND'),
    (['trian'], "invalid choice: 'trian'"),
    (['train'], 'the following arguments are required: config'),
    (['train', 'c', '--work-dri', 'x'], 'unknown option --work-dri (did you mean --work-dir?)'),
    (['train', 'c', '--work', 'x'], 'unknown option --work '),
    (['train', 'c', 'd'], 'unexpected argument d'),
    (['train', 'c', '--epochs', '0'], "'0' is not a whole number from 1"),
    (['train', 'c', '--epochs', '1e3'], "'1e3' is not a whole number"),
    (['train', 'c', '--lr', 'nan'], "'nan' is not a number above 0"),
    (['train', 'c', '--width', '0.7'], 'invalid choice: 0.7'),
    (['train', 'c', '--img-scale', '640'], 'expected 2 arguments'),
    (['train', 'c', '--cfg-options', 'lr'], "'lr' is not KEY=VALUE"),
    (['train', 'c', '--launcher', 'ssh'], "invalid choice: 'ssh'"),
    (['infer', 'a', 'b', '--threads', '1000000'], 'is not a whole number from 1 to 1024'),
    (['infer', 'a', 'b', '--pred-score-thr', '2'], "'2' is not a number from 0 to 1"),
    (['export', 'a', '--out', 'b', '--format', 'tf'], "invalid choice: 'tf'"),
    (['complexity', 'a', '--shape', '9' * 30], 'is too large: sides up to 16384'),
    (['speed', 'table8', '--tread', '1'], 'did you mean --threads?'),
]


@pytest.mark.parametrize(('words', 'message'), MISTAKES)
def test_mistakes_are_one_line_and_exit_with_2(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in error
    assert error.startswith('error: ')
    assert error.count('\n') == 1


@pytest.mark.parametrize('name', ['.', 'x' * 5000, 'file/below'])
def test_names_that_no_file_can_have_are_mistakes(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()

    def write(_: Namespace) -> None:
        write_text_file('text', name)

    assert cli.run(write, Namespace(debug=False)) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert error.count('\n') == 1
    assert len(error) < 500
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_help_has_examples_and_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, '--help'])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert f'lighthead {command}' in text.partition('examples:')[2]
    assert 'exit codes: 0 success, 1 internal error (please report), 2 invalid input' in text


def test_the_parser_imports_nothing_heavy():
    heavy = {'torch', 'mmdet', 'mmengine', 'mmcv', 'numpy', 'cv2', 'matplotlib'}
    code = f'import lighthead.cli as c, sys; c.build_parser(); print({heavy} & sys.modules.keys())'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == 'set()\n', done.stderr


def test_help_takes_half_a_second_of_processor_time():
    command = [sys.executable, '-m', 'lighthead', 'train', '--help']
    seconds = []
    for _ in range(3):
        before = children()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(children() - before)
    assert min(seconds) <= 0.5


def children() -> float:
    """Processor seconds of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize('path', sorted((ROOT / 'tools').glob('*.py')), ids=lambda path: path.stem)
def test_tools_are_stubs_of_the_command(path):
    if path.stem == 'make_demo_data':
        return
    assert path.stem in cli.COMMANDS
    text = path.read_text()
    assert f"main(['{path.stem}', *sys.argv[1:]])" in text
    assert len(text.splitlines()) <= 10


def raising(error: BaseException):
    def main(args: Namespace) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ('error', 'code', 'message'),
    [
        (UserError('Give x.'), 2, 'error: Give x.\n'),
        (InstallError('Install x.'), 2, 'error: Install x.\n'),
        (KeyboardInterrupt(), 130, 'interrupted\n'),
        (BrokenPipeError(), 141, ''),
        (ValueError('odd'), 1, 'internal error of lighthead: please report it'),
        (ImportError('odd'), 1, 'internal error of lighthead: please report it'),
    ],
)
def test_exit_codes(error, code, message, capsys):
    assert cli.run(raising(error), Namespace(debug=False)) == code
    text = capsys.readouterr().err
    assert message in text
    assert ('Traceback' in text) == (code == 1)


def test_debug_shows_the_traceback_of_a_mistake(capsys):
    assert cli.run(raising(UserError('Give x.')), Namespace(debug=True)) == 2
    text = capsys.readouterr().err
    assert 'Traceback' in text
    assert text.endswith('error: Give x.\n')


def test_an_import_error_names_the_library_that_is_missing(capsys, monkeypatch):
    def check_install():
        raise InstallError('torch is not installed')

    monkeypatch.setattr(cli, 'check_install', check_install)
    assert cli.run(raising(ImportError('No module')), Namespace(debug=False)) == 2
    assert capsys.readouterr().err == 'error: torch is not installed\n'


def test_info_reports_versions_devices_and_operators(capsys):
    assert cli.main(['info']) == 0
    lines = dict(line.split(':', 1) for line in capsys.readouterr().out.splitlines())
    assert {'lighthead', 'Python', 'torch', 'mmdet', 'GPUs', 'operators of mmcv'} <= lines.keys()
    assert lines['installation'].strip() == 'complete'


def test_info_goes_on_where_something_cannot_be_found_out(capsys, monkeypatch):
    from lighthead.commands import info

    def broken():
        raise OSError('no such library')

    monkeypatch.setitem(info.DESCRIPTIONS, 'GPUs', broken)
    assert cli.main(['info']) == 0
    out = capsys.readouterr().out
    assert 'not available (OSError: no such library)' in out
    assert 'operators of mmcv' in out


@pytest.mark.parametrize(
    'words',
    [
        ['CONFIG', 'CHECKPOINT', '--out', 'x.json'],
        ['CONFIG', '--out', 'x.json', 'CHECKPOINT'],
        ['--out', 'x.json', 'CONFIG', 'CHECKPOINT'],
    ],
)
def test_flags_may_stand_between_config_and_checkpoint(words):
    args = cli.build_parser().parse_args(['test', *words])
    assert (args.config, args.checkpoint, args.out) == ('CONFIG', 'CHECKPOINT', 'x.json')
    alone = cli.build_parser().parse_args(['test', '--out', 'x.json', 'CHECKPOINT'])
    assert (alone.config, alone.checkpoint) == (None, 'CHECKPOINT')
