import csv
import json

import pytest
import torch
import torch.nn as nn

from lighthead.cli import run
from lighthead.commands.speed import build_parser, main
from lighthead.errors import UserError
from lighthead.speed import bench as bench_module
from lighthead.speed import timer
from lighthead.speed.breakdown import KINDS, kind_of, profile_call
from lighthead.speed.fusion import fuse_norms
from lighthead.speed.machine import Roofline
from lighthead.speed.prepare import prepare_call
from lighthead.speed.record import FIELDS, read_result
from lighthead.speed.settings import Settings

TINY = ['--quick', '--threads', '1', '--seed', '3']


@pytest.fixture(autouse=True)
def _no_long_measuring(monkeypatch):
    """A known machine, and one round of everything."""
    limit = Roofline(1e11, 1e10, 'cpu', 1, 'fp32')
    monkeypatch.setattr(bench_module, 'measure_roofline', lambda settings, threads: limit)
    plan = timer.Plan(min_time=1e-6, rounds=1, warmup=1)
    monkeypatch.setattr(Settings, 'plan', lambda self, *_: plan)


def call(*arguments):
    return run(main, build_parser().parse_args([str(a) for a in arguments]))


@pytest.fixture(scope='module')
def table8(tmp_path_factory):
    pytest.importorskip('pytorchcv', reason="needs the extra 'bench'")
    folder = tmp_path_factory.mktemp('table8')
    with pytest.MonkeyPatch.context() as patch:
        limit = Roofline(1e11, 1e10, 'cpu', 1, 'fp32')
        patch.setattr(bench_module, 'measure_roofline', lambda settings, threads: limit)
        plan = timer.Plan(min_time=1e-6, rounds=2, warmup=1)
        patch.setattr(Settings, 'plan', lambda self, *_: plan)
        networks = ('shufflenet_v2_0.5x', 'mobilenet_v1_0.25', 'xception_0.5x')
        code = call(
            'table8', *TINY, '--only', *networks, '--shape', '64x96', '--batch', 2, '--out', folder
        )
    assert code == 0
    return folder


def test_table8_writes_documented_results(table8):
    content = read_result(table8)
    assert content['complete']
    assert content['settings']['shape'] == [64, 96]
    rows = content['measurements']
    assert {row['phase'] for row in rows} == {'batched', 'single'}
    assert len(rows) == 6
    for row in rows:
        assert row['ms_p10'] <= row['ms_median'] <= row['ms_p90']
        assert row['covers']
        assert row['roofline_share'] > 0
    documented = set(content['fields'])
    assert documented == set(FIELDS)
    described = {'id', 'macs', 'ms_median', 'spread', 'paper_speed', 'threads', 'precision', 'date'}
    assert described <= documented & set(rows[0])
    assert {'cpu', 'gpu', 'versions', 'python'} <= set(content['machine'])


def test_csv_has_a_line_per_measurement_and_the_machine(table8):
    with (table8 / 'results.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    assert lines[0]['cpu'] == read_result(table8)['machine']['cpu']


def test_report_is_one_page_without_references(table8):
    page = (table8 / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == 2
    assert 'src="http' not in page
    assert 'href=' not in page
    assert 'width=device-width' in page
    assert (table8 / 'macs_speed.png').read_bytes().startswith(b'\x89PNG')
    assert (table8 / 'error_speed.png').stat().st_size > 1000


def test_markdown_shows_the_tables_and_the_pictures(table8):
    page = (table8 / 'report.md').read_text()
    assert page.startswith('# ')
    assert '](macs_speed.png)' in page
    rows = [line for line in page.splitlines() if line.startswith('| ')]
    assert len({line.count('|') - line.count('\\|') for line in rows[:5]}) == 1
    assert len(rows) >= 6 + 2


def test_record_names_no_host_user_or_folder(table8):
    import getpass
    import socket

    text = (table8 / 'results.json').read_text()
    machine = json.loads(text)['machine']
    assert socket.gethostname() not in json.dumps(machine)
    assert str(table8) not in text
    assert f'/{getpass.getuser()}/' not in text


def test_compare_two_results(table8, tmp_path, capsys):
    other = tmp_path / 'b.json'
    content = read_result(table8)
    for row in content['measurements']:
        row['images_per_s'] *= 2
        for name in ('ms_p10', 'ms_median', 'ms_p90'):
            row[name] /= 100
    content['measurements'].pop()
    content['measurements'][0]['threads'] = 7
    other.write_text(json.dumps(content))
    assert call('compare', table8 / 'results.json', other, '--out', tmp_path / 'out') == 0
    compared = read_result(tmp_path / 'out')['measurements']
    assert [row['ratio'] for row in compared] == pytest.approx([2.0] * 5)
    printed = capsys.readouterr().out
    assert 'differ in threads' in printed
    assert '1 measurement(s)' in printed


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'not readable as JSON'),
        ('[]', 'not written by tools/speed.py'),
        ('{"format": "lighthead-speed", "format_version": 99}', 'format version 99'),
    ],
)
def test_foreign_results_are_refused(tmp_path, content, message):
    path = tmp_path / 'x.json'
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_result(path)


def test_compare_refuses_other_subcommands(table8, tmp_path, capsys):
    content = read_result(table8) | {'subcommand': 'blocks'}
    (tmp_path / 'b.json').write_text(json.dumps(content))
    assert call('compare', table8, tmp_path / 'b.json') == 2
    assert 'same subcommand' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments',
    [
        ['table8', '--batch', '0'],
        ['table8', '--shape', '20'],
        ['table8', '--shape', 'axb'],
        ['table8', '--min-time', '-1'],
        ['table8', '--min-time', 'nan'],
        ['resolutions', '--shape', '224'],
        ['detector'],
        ['compare', 'a.json'],
        ['dance'],
        [],
    ],
)
def test_bad_arguments_are_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert len(error.strip().splitlines()) == 1


def test_lists_may_be_given_piece_by_piece():
    once = build_parser().parse_args(['detector', 'a.py', '--against', 'x', 'y'])
    twice = build_parser().parse_args(['detector', 'a.py', '--against', 'x', '--against', 'y'])
    assert once == twice
    assert twice.against == ['x', 'y']
    assert build_parser().parse_args(['detector', 'a.py']).against == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['table8', '--only', 'resnet'], "no network 'resnet'"),
        (['breakdown', 'resnet'], "no network 'resnet'"),
        (['table8', '--device', 'gpu7'], 'no device'),
        (['table8', '--device', 'meta'], 'only cpu and cuda'),
        (['table8', '--out', '/dev/null/x'], 'cannot be written'),
        (['detector', 'missing.py'], 'missing.py'),
        (['detector', 'mmdet:missing.py'], 'no such config'),
        (['detector', 'a.py', '--against', 'yolo'], 'torchvision:<function>'),
        (['detector', 'torchvision:dance'], "no detector 'dance'"),
        (['detector', 'a.py', 'b.py', '--checkpoint', 'c.pth'], 'one for each'),
        (['detector', 'a.py', '--image', 'missing.jpg'], 'missing.jpg'),
        (['compare', 'missing.json', 'b.json'], 'is not there'),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, capsys):
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith('error: ')
    assert len(error.strip().splitlines()) == 1


def test_interrupt_keeps_what_was_measured(tmp_path, monkeypatch):
    seen = []

    def interrupted(call, count, device):
        seen.append(1)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return [0.001] * count

    monkeypatch.setattr(timer, 'time_calls', interrupted)
    networks = ('shufflenet_v2_0.5x', 'xception_0.5x', 'densenet_0.5x')
    arguments = ('table8', *TINY, '--shape', 32, '--only', *networks, '--out', tmp_path)
    assert call(*arguments) == 130
    content = read_result(tmp_path)
    assert not content['complete']
    assert [row['phase'] for row in content['measurements']] == ['batched', 'batched']
    assert 'Stopped by the user' in (tmp_path / 'report.html').read_text()


@pytest.mark.parametrize(
    ('name', 'shapes', 'parents', 'kind'),
    [
        ('aten::mkldnn_convolution', [[1, 8, 9, 9], [16, 8, 1, 1]], [], 'dense convolution'),
        ('aten::cudnn_convolution', [[1, 8, 9, 9], [8, 1, 3, 3]], [], 'depthwise convolution'),
        ('aten::convolution', [[1, 8, 9, 9], [8, 4, 3, 3]], [], 'dense convolution'),
        ('aten::native_batch_norm', [], [], 'batch norm'),
        ('aten::cat', [], [], 'shuffle, split, concat'),
        ('aten::copy_', [], ['aten::clone', 'aten::reshape'], 'shuffle, split, concat'),
        ('aten::copy_', [], ['aten::contiguous'], 'data movement'),
        ('aten::div_', [], ['data'], 'data movement'),
        ('aten::clamp_min_', [], [], 'element-wise'),
        ('aten::add_', [], [], 'element-wise'),
        ('aten::hardtanh_', [], [], 'element-wise'),
        ('aten::addmm', [], [], 'others'),
    ],
)
def test_kinds_of_operations(name, shapes, parents, kind):
    assert kind_of(name, shapes, parents) == kind


def test_breakdown_adds_up():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        seconds = profile_call(lambda: net.eval()(images), 2, Settings())
    assert set(seconds) == set(KINDS)
    assert all(value >= 0 for value in seconds.values())
    assert seconds['dense convolution'] > 0
    assert seconds['batch norm'] > 0
    assert sum(seconds.values()) > 0


def test_breakdown_shares_add_up_in_the_record(tmp_path):
    assert call('breakdown', 'shufflenet_v2_0.5x', *TINY, '--shape', 64, '--out', tmp_path) == 0
    (row,) = read_result(tmp_path)['measurements']
    assert sum(row['shares'].values()) == pytest.approx(1)
    assert (tmp_path / 'breakdown.png').is_file()


def test_fused_norms_leave_the_outputs_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    for norm in (net[1], net[3]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        before = net(images)
        assert fuse_norms(net, lambda: net(images)) == 1
        assert torch.allclose(net(images), before, atol=1e-6)
    assert isinstance(net[1], nn.Identity)
    assert isinstance(net[3], nn.BatchNorm2d)


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_prepared_calls_are_the_same_for_the_same_seed(precision):
    settings = Settings(seed=5, amp=precision == 'bf16', channels_last=True, fuse_bn=True)

    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))

    first, second = (prepare_call(build, (2, 3, 8, 8), settings)() for _ in range(2))
    assert torch.equal(first, second)
    assert first.dtype == settings.dtype
