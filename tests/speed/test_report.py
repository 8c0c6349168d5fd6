import getpass
import json
import re
import socket

import pytest

from lighthead.errors import UserError
from lighthead.speed.experiments import classification
from lighthead.speed.harness.record import FIELDS, read_record

PAGES = (
    *('speed/blocks', 'speed/breakdown', 'speed/detector', 'speed/detector_rtmdet'),
    *('speed/guidelines', 'speed/resolutions', 'speed/table8', 'gpu'),
)


def test_table8_writes_documented_results(table8):
    record = read_record(table8)
    assert record.complete
    assert record.settings['shape'] == [64, 96]
    rows = record.measurements
    assert {row['phase'] for row in rows} == {'batched', 'single'}
    assert len(rows) == 8
    for row in rows:
        assert row['ms_p10'] <= row['ms_median'] <= row['ms_p90']
        assert row['covers'] == 'forward pass, images on the device'
        assert row['images_per_s'] == pytest.approx(row['batch'] / row['ms_median'] * 1e3)
        share = row['roofline_ms'] / row['ms_median']
        assert row['roofline_share'] == pytest.approx(share)
    described = {'id', 'macs', 'ms_median', 'spread', 'paper_speed', 'threads', 'precision', 'date'}
    assert described <= set(FIELDS) & set(rows[0])
    assert json.loads((table8 / 'results.json').read_text())['fields'] == FIELDS
    assert {'cpu', 'gpu', 'versions', 'python'} <= set(record.machine)


def test_own_network_stands_in_the_table_without_figures_of_the_paper(table8):
    record = read_record(table8)
    own = [row for row in record.measurements if row['kind'] == 'own']
    assert [row['name'] for row in own] == ['torchvision.models:shufflenet_v2_x0_5'] * 2
    assert {row['paper_speed'] for row in own} == {None}
    paper = next(row for row in record.measurements if row['key'] == 'shufflenet_v2_0.5x')
    assert own[0]['macs'] == paper['macs']  # the same network at the same size
    charts = {chart.name: chart for chart in classification.layout(record).charts}
    assert own[0]['name'] in charts['macs_speed'].panels[0][0].series
    assert own[0]['name'] not in charts['error_speed'].panels[0][0].series


def test_report_is_one_page_without_references(table8):
    page = (table8 / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == 2
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert 'width=device-width' in page
    assert page.index('<figure>') < page.index('<table>'), 'charts come first'
    assert (table8 / 'macs_speed.png').read_bytes().startswith(b'\x89PNG')


def test_markdown_shows_the_tables_and_the_charts(table8):
    page = (table8 / 'report.md').read_text()
    assert page.startswith('# ')
    assert '](macs_speed.png)' in page
    rows = [line for line in page.splitlines() if line.startswith('| ')]
    assert len({line.count('|') - line.count('\\|') for line in rows[:6]}) == 1
    assert sum(line.startswith('| torchvision.models:') for line in rows) == 1


def test_record_names_no_host_user_or_folder(table8):
    text = (table8 / 'results.json').read_text()
    assert socket.gethostname() not in json.dumps(json.loads(text)['machine'])
    assert str(table8) not in text
    assert f'/{getpass.getuser()}/' not in text


def test_compare_two_results(table8, tmp_path, capsys, speed_command):
    other = tmp_path / 'b.json'
    content = json.loads((table8 / 'results.json').read_text())
    for row in content['measurements']:
        row['images_per_s'] *= 2
        for name in ('ms_p10', 'ms_median', 'ms_p90'):
            row[name] /= 100
    content['measurements'].pop()
    content['measurements'][0]['threads'] = 7
    other.write_text(json.dumps(content))
    out = tmp_path / 'out'
    assert speed_command('compare', table8 / 'results.json', other, '--out', out) == 0
    compared = read_record(out).measurements
    assert [row['ratio'] for row in compared] == pytest.approx([2.0] * 7)
    assert not any(row['overlap'] for row in compared)
    printed = capsys.readouterr().out
    assert 'differ in threads' in printed
    assert '1 measurement(s)' in printed


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'not readable as JSON'),
        ('[]', 'not written by lighthead speed'),
        ('{"format": "lighthead-speed", "format_version": 99}', 'format version 99'),
        ('{"format": "lighthead-speed", "format_version": 1}', "no field 'subcommand'"),
    ],
)
def test_foreign_results_are_refused(tmp_path, content, message):
    path = tmp_path / 'x.json'
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_record(path)


def test_compare_refuses_other_subcommands(table8, tmp_path, capsys, speed_command):
    content = json.loads((table8 / 'results.json').read_text()) | {'subcommand': 'blocks'}
    (tmp_path / 'b.json').write_text(json.dumps(content))
    assert speed_command('compare', table8, tmp_path / 'b.json') == 2
    assert 'same subcommand' in capsys.readouterr().err


@pytest.mark.parametrize('page', PAGES)
def test_pages_of_docs_are_what_their_results_give(page, tmp_path, pytestconfig, speed_command):
    folder = pytestconfig.rootpath / 'docs' / page
    assert speed_command('report', folder, '--out', tmp_path) == 0
    for name in ('report.md', 'results.json'):
        shipped, drawn = (folder / name).read_text(), (tmp_path / name).read_text()
        assert drawn == shipped, f'lighthead speed report {folder} --out {folder}'
    assert {f.name for f in tmp_path.glob('*.png')} == {f.name for f in folder.glob('*.png')}
