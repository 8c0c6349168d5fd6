import pytest

from lighthead import cli
from lighthead.commands.speed import settle_precision
from lighthead.speed.harness import timer
from lighthead.speed.harness.record import read_record


def parse(arguments):
    return cli.build_parser().parse_args(['speed', *arguments])


@pytest.mark.parametrize(
    'arguments',
    [
        ['table8', '--batch', '0'],
        ['table8', '--shape', '20'],
        ['table8', '--shape', 'axb'],
        ['table8', '--min-time', '-1'],
        ['table8', '--min-time', 'nan'],
        ['table8', '--precision', 'fp8'],
        ['resolutions', '--shape', '224'],
        ['detector'],
        ['compare', 'a.json'],
        ['report'],
        ['dance'],
        [],
    ],
)
def test_bad_arguments_are_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert len(error.strip().splitlines()) == 1


def test_lists_may_be_given_piece_by_piece():
    once = parse(['detector', 'a.py', '--against', 'x', 'y'])
    twice = parse(['detector', 'a.py', '--against', 'x', '--against', 'y'])
    assert once == twice
    assert twice.against == ['x', 'y']
    assert parse(['detector', 'a.py']).against == []


@pytest.mark.parametrize(
    ('flags', 'precision'),
    [
        ([], 'fp32'),
        (['--amp'], 'bf16'),
        (['--amp', '--device', 'cuda:1'], 'fp16'),
        (['--device', 'cuda', '--precision', 'tf32'], 'tf32'),
        (['--amp', '--device', 'cuda', '--precision', 'bf16'], 'bf16'),
    ],
)
def test_amp_is_a_short_name_for_the_half_precision_of_the_device(flags, precision):
    args = parse(['table8', *flags])
    settle_precision(args)
    assert args.precision == precision


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['table8', '--only', 'resnet'], "no network 'resnet'"),
        (['table8', '--only', '--network', 'torch:absent'], 'cannot be imported'),
        (['breakdown', 'resnet'], "no network 'resnet'"),
        (['table8', '--device', 'gpu7'], 'no device'),
        (['table8', '--device', 'meta'], 'only cpu and cuda'),
        (['table8', '--precision', 'tf32'], 'choose from fp32, bf16'),
        (['table8', '--out', '/dev/null/x'], 'cannot be written'),
        (['detector', 'missing.py'], 'missing.py'),
        (['detector', 'mmdet:missing.py'], 'no such config'),
        (['detector', 'a.py', '--against', 'yolo'], 'torchvision:<function>'),
        (['detector', 'torchvision:dance'], "no detector 'dance'"),
        (['detector', 'a.py', 'b.py', '--checkpoint', 'c.pth'], 'one for each'),
        (['detector', 'a.py', '--image', 'missing.jpg'], 'missing.jpg'),
        (['compare', 'missing.json', 'b.json'], 'is not there'),
        (['report', 'missing.json'], 'is not there'),
    ],
)
def test_mistakes_are_one_error_message(arguments, message, capsys, speed_command):
    assert speed_command(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith('error: ')
    assert len(error.strip().splitlines()) == 1


def test_interrupt_keeps_what_was_measured(tmp_path, monkeypatch, speed_command):
    seen = []

    def interrupted(call, count, device):
        seen.append(1)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return [0.001] * count

    monkeypatch.setattr(timer, 'time_calls', interrupted)
    networks = ('shufflenet_v2_0.5x', 'xception_0.5x', 'densenet_0.5x')
    arguments = ('table8', '--quick', '--shape', 32, '--only', *networks, '--out', tmp_path)
    assert speed_command(*arguments) == 130
    record = read_record(tmp_path)
    assert not record.complete
    assert [row['phase'] for row in record.measurements] == ['batched', 'batched']
    assert 'Stopped by the user' in (tmp_path / 'report.html').read_text()
