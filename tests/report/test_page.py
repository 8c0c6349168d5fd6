"""A page in its three forms: nothing is lost, text stays text, and HTML needs no network."""

import io
import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from lighthead.errors import UserError
from lighthead.report.charts import label_text, render
from lighthead.report.html import data_uri, render_html
from lighthead.report.markdown import render_markdown, table_lines
from lighthead.report.page import Bars, Chart, Lines, Page, Picture, Section, Table, number
from lighthead.report.terminal import print_page, rich_table
from lighthead.report.write import prepare_folder, write_folder, write_html

HOSTILE = '<script>alert(1)</script>"\' & [red]x[/red] \udcff'


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new('RGB', (8, 6)).save(buffer, 'JPEG')
    return buffer.getvalue()


def page_of(text: str) -> Page:
    """A page with every kind of part, all with the same text."""
    chart = Chart('bars', text, [[Bars(text, ['a', text], {text: [1, None], '$_': [1, 2]})]], text)
    curve = Chart('curve', text, [[Lines(text, {text: [(0, 1), (1, 2)]}, markers=False)]])
    table = Table(text, (text, 'value'), [(text, text)], text, marks={text: 'bad'})
    picture = Picture(text, jpeg())
    sections = [Section(text, [text], [curve], [picture], [table]), Section('last')]
    return Page(
        *(text, [text], [chart], [picture], [table]),
        facts=[text],
        sections=sections,
        glossary_title=text,
        glossary={text: text},
    )


class Reader(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope='module')
def html(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('page') / 'page.html'
    write_html(page_of(HOSTILE), path)
    return path.read_text(encoding='utf-8')


def test_text_stays_text(html):
    reader = Reader()
    reader.feed(html)
    shown = HOSTILE.replace('\udcff', '\\udcff')
    # title and heading; fact, note, caption of each chart and picture, table's title, head,
    # two cells and note, in the page and in its section; section's heading and link; glossary
    assert sum(text == shown for text in reader.texts) == 2 + 1 + 2 * 8 + 2 + 3
    assert reader.tags.count('script') == 1
    assert dict(reader.attributes)['class'] == 'bad' or ('class', 'bad') in reader.attributes


def test_html_asks_the_network_for_nothing(html):
    assert not re.search(r'(src|href)="(?!data:image/|#)', html)
    assert 'url(' not in html
    assert "default-src 'none'" in html
    assert html.count('data:image/png;base64,') == 2
    assert html.count('data:image/jpeg;base64,') == 2


def test_links_lead_to_the_sections(html):
    assert re.findall(r'href="#([\w-]+)"', html) == re.findall(r'id="([\w-]+)"', html)


def test_folder_holds_page_markdown_and_charts(tmp_path):
    names = write_folder(page_of('text'), tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert names == ['bars.png', 'curve.png', 'report.html', 'report.md']
    markdown = (tmp_path / 'report.md').read_text()
    assert markdown.startswith(
        '# text\n\ntext\n\n- text\n\n![text](bars.png)\n\n## text\n\n| text '
    )
    assert '## text\n\n- text\n\n![text](curve.png)\n\n### text\n' in markdown


def test_markup_in_a_terminal_is_text():
    console = Console(width=200, file=io.StringIO())
    print_page(page_of('[red]x[/red]'), console)
    # title, fact, note, table's title, head, two cells, its note; the same of the section
    assert console.file.getvalue().count('[red]x[/red]') == 2 + 2 * 6 + 1


def test_a_picture_must_be_one():
    with pytest.raises(ValueError, match='PNG, JPEG or WebP'):
        data_uri(b'<svg onload="alert(1)">')


def test_an_empty_page_has_its_title_alone():
    assert render_markdown(Page('t')) == '# t\n'
    reader = Reader()
    reader.feed(render_html(Page('t'), {}))
    assert not {'table', 'figure', 'nav', 'ul', 'details'} & set(reader.tags)


def test_every_series_stands_in_the_legend(monkeypatch):
    shown = []
    monkeypatch.setattr(Figure, 'legend', lambda self, handles, labels, **_: shown.extend(labels))
    render(Chart('c', '', [[Lines('', {'_a': [(0, 1)], '$b$': [(1, 1)]})]]))
    assert [label.strip() for label in shown] == ['_a', '$b$']


def test_long_names_are_cut_line_by_line():
    assert label_text('x' * 61 + '\nb') == 'x' * 57 + '...\nb'
    assert label_text('x' * 60) == 'x' * 60


def test_a_folder_that_cannot_be_made_is_reported_first(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='cannot be written'):
        prepare_folder(tmp_path / 'file' / 'out')


def test_tables_keep_their_columns_apart_and_fit_the_terminal():
    table = Table('t', ('name', 'a', 'b'), [('x|y', '1', '2')], page_only=('b',))
    assert table_lines(table).splitlines() == [
        '| name | a | b |',
        '| --- | ---: | ---: |',
        '| x\\|y | 1 | 2 |',
    ]
    assert [column.header for column in rich_table(table, 80).columns] == ['name', 'a']
    wide = Table('t', [f'column {i}' for i in range(9)], [['1'] * 9])
    assert rich_table(wide, 40).row_count == 8, 'one row becomes a column'


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (None, '-'),
        (0.0, '0.0'),
        (0.0345, '0.035'),
        (3.14159, '3.1'),
        (123.4, '123'),
        (-7.0, '-7.0'),
    ],
)
def test_numbers_have_two_digits_or_more(value, text):
    assert number(value) == text
