"""The page of ``lighthead speed gpu`` without a GPU, and how sections end."""

import argparse

import numpy as np
import pytest

from lighthead import cli
from lighthead.gpu_report import run
from lighthead.gpu_report.context import NotMeasuredError
from lighthead.gpu_report.detectors import Agreement
from lighthead.gpu_report.page import layout
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.record import read_record


def cells_of(page, title, first):
    """The cells after the first of the row that begins with ``first``."""
    (table,) = (table for table in page.tables if table.title == title)
    (row,) = (row for row in table.rows if row[0] == first)
    return row[1:]


def a_row(key, device='cpu', precision='fp32', **other):
    return {
        'id': f'{key} {device} {precision}',
        'name': key,
        'device': device,
        'precision': precision,
        'batch': 4,
        'images_per_s': 1380.0,
        'ms_median': 2.9,
        'wide_spread': False,
    } | other


@pytest.fixture
def record():
    """A record of a CPU on which nothing was measured."""
    empty = Bench(Conditions()).record('gpu', 'lighthead on a GPU')
    sections = {'export': {'not measured': 'why', 'seconds': 0.1}}
    empty.findings = {'sections': sections, 'failed': {}, 'sides': (800, 1200)}
    return empty


def test_cells_without_a_measurement_say_so(record):
    page = layout(record)
    assert not page.charts
    (speeds,) = (table for table in page.tables if table.title == 'Images per second')
    assert len(speeds.rows) == 5 * 3
    assert {cell for row in speeds.rows for cell in row[2:7]} == {'not measured'}
    assert [row[7] for row in speeds.rows if row[1] == '4'] == ['183', '138', '105', '83', '-']
    assert cells_of(page, 'Export', 'ONNX on CUDAExecutionProvider') == ['not measured'] * 2
    assert cells_of(page, 'A training step of the main config', 'cuda amp') == ['not measured'] * 5
    graph = cells_of(page, 'Do all ways to run give the same detections?', 'graph, cuda tf32')
    assert graph == ['not measured'] * 3
    assert any('No GPU was at hand' in note for note in page.notes)


def test_measured_cells_stand_in_their_column(record):
    record.measurements = [a_row('1.0x batch 4', 'cuda', 'tf32')]
    record.findings['sections']['agreement'] = {
        'seconds': 1.0,
        'rows': [dict(kind='graph', device='cuda', precision='tf32', images=50, total=90)],
    }
    record.findings['sections']['agreement']['rows'][0] |= dict(
        matched=89, score_difference=0.002, refused=0
    )
    page = layout(record)
    (speeds,) = (table for table in page.tables if table.title == 'Images per second')
    column = speeds.columns.index('CUDA tf32')
    assert [row[column] for row in speeds.rows].count('1380') == 1
    graph = cells_of(page, 'Do all ways to run give the same detections?', 'graph, cuda tf32')
    assert graph == ['50', '89 of 90', '2.0e-03']
    assert page.charts[1].panels[0][0].series['tf32'] == [None, 1380.0, None, None, None]


def test_operators_are_compared_with_torchvisions_kernel(record):
    key = 'PS-RoI align, 1000 RoIs: forward'
    times = {'torchvision avg': 8.0, 'lighthead avg': 2.0, 'lighthead max': 3.0}
    record.measurements = [a_row(f'{key}: {k}', ms_median=v) for k, v in times.items()]
    assert cells_of(layout(record), 'Operators, float32', key) == [
        'cpu',
        '8.0',
        '2.0',
        '3.0',
        '4.0',
    ]


def test_suppressions_have_a_third_time_where_the_fixed_one_was_measured(record):
    key = 'suppression of proposals, 100 objects'
    times = {'torchvision': 1.0, 'lighthead': 2.0, 'lighthead fixed': 4.0}
    record.measurements = [a_row(f'{key}: {k}', ms_median=v) for k, v in times.items()]
    assert cells_of(layout(record), 'Operators, float32', key) == [
        'cpu',
        '1.0',
        '2.0',
        '4.0',
        '0.5',
    ]


def test_shares_stand_in_the_table_of_their_section(record):
    shares = {'images/s': 'a batch of four images, 1.0x', 'training step': 'a training step'}
    for share, name in enumerate(shares, start=1):
        operators = {'fp32': {'aten::copy_': share / 10}}
        record.findings['sections'][name] = {'seconds': 1.0, 'operators': operators}
        if name == 'training step':
            record.findings['sections'][name]['loading_ms'] = 1.0
    page = layout(record)
    for share, what in enumerate(shares.values(), start=1):
        cells = cells_of(page, f"Operators' shares of {what}", 'fp32')
        assert cells == ['aten::copy_', f'{share / 10:.1%}']


def test_sections_that_fail_or_cannot_be_measured_leave_the_others_alone(monkeypatch, tmp_path):
    def refuse(_):
        raise NotMeasuredError('no such device')

    sections = {'a': lambda _: 1 / 0, 'b': refuse, 'c': lambda _: {'value': 7}}
    monkeypatch.setattr(run, 'SECTIONS', sections)
    monkeypatch.setattr(run, 'write_demo', lambda root: None)
    arguments = ['gpu', '--device', 'cpu', '--quick', '--out', str(tmp_path)]
    assert cli.main(['speed', *arguments]) == 1
    findings = read_record(tmp_path).findings
    assert findings['failed'] == {'a': 'ZeroDivisionError: division by zero'}
    assert findings['sections']['b']['not measured'] == 'no such device'
    assert findings['sections']['c']['value'] == 7
    page = (tmp_path / 'report.md').read_text()
    assert 'Failed: a (ZeroDivisionError: division by zero).' in page


def test_no_section_begins_after_the_deadline(monkeypatch, record):
    begun = []
    monkeypatch.setattr(run, 'MINUTES', 0)
    monkeypatch.setattr(run, 'SECTIONS', {'a': begun.append})
    monkeypatch.setattr(run, 'write_demo', lambda root: None)
    result = run.measure(Bench(Conditions()), argparse.Namespace(data_root=None))
    assert not begun
    assert 'minutes were over' in result.findings['sections']['a']['not measured']


def detections(*boxes, labels, scores):
    return RawDetections(np.float32(boxes).reshape(-1, 4), np.float32(scores), np.array(labels))


def test_agreement_counts_boxes_of_one_class_that_overlap():
    reference = detections(
        (0, 0, 100, 100),
        (200, 0, 300, 100),
        (0, 200, 9, 209),
        labels=[1, 2, 3],
        scores=[0.9, 0.5, 0.01],
    )
    other = detections(
        (0, 0, 100, 99),
        (200, 0, 300, 100),
        (0, 0, 100, 100),
        labels=[1, 1, 5],
        scores=[0.8, 0.5, 0.9],
    )
    total = Agreement()
    total.add(reference, other)  # the second has another class; the third, a low score, is no one's
    total.add(reference, detections(labels=[], scores=[]))
    assert (total.images, total.total, total.matched) == (2, 4, 1)
    assert total.score_difference == pytest.approx(0.1)
