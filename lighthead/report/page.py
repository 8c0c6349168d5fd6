"""What a report shows, as data: tables of text, charts of numbers, pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Interval = tuple[float, float]


@dataclass
class Table:
    """A table as it is shown: cells are text already.

    Attributes:
        text_columns: How many columns, from the left, hold text and not numbers.
        page_only: Columns that are left out in a terminal.
        marks: Cells that are coloured, by their text.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ''
    text_columns: int = 1
    page_only: tuple[str, ...] = ()
    marks: Mapping[str, Literal['good', 'bad']] = field(default_factory=dict)


@dataclass
class Bars:
    """Bars for each group and series; ``ends`` are the (low, high) of a bar's error line."""

    title: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    ends: Mapping[str, Sequence[Interval | None]] = field(default_factory=dict)


@dataclass
class Lines:
    """Points (x, y) of each series, joined by lines; the emphasised series stands out.

    Attributes:
        markers: Whether each point has a marker: not for curves of hundreds of points.
        unit_square: Whether both axes go from 0 to 1.
    """

    title: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    emphasised: str = ''
    markers: bool = True
    unit_square: bool = False


@dataclass
class Heatmap:
    """A table of shares 0..1 as coloured cells, each with its text; None leaves a cell empty."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]


Panel = Bars | Lines | Heatmap


@dataclass
class Chart:
    """Rows of panels that share their axes' labels and the legend.

    Attributes:
        name: The file's stem, unique within a page.
        stacked: Bars of a group follow each other, instead of standing side by side.
        labelled: Each stacked bar carries its value.
        log: The logarithmic axes: '', 'x', 'y' or 'xy'.
        reference: Where a dashed line is drawn.
        size: Width and height in inches.
    """

    name: str
    caption: str
    panels: Sequence[Sequence[Panel]]
    xlabel: str = ''
    ylabel: str = ''
    horizontal: bool = False
    stacked: bool = False
    labelled: bool = False
    log: str = ''
    reference: float | None = None
    size: tuple[float, float] = (9.0, 5.0)


@dataclass
class Picture:
    """A picture of an HTML page, such as an image with its boxes: a PNG, JPEG or WebP file."""

    caption: str
    content: bytes


@dataclass
class Section:
    """A heading with its parts, shown in this order: notes, charts, pictures, tables.

    Attributes:
        notes: What the reader should know about the rest; one line each.
        pictures: Only HTML pages show them, side by side.
    """

    title: str
    notes: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass
class Page(Section):
    """A report: parts of its own, as a section has them, then sections.

    Attributes:
        facts: The lines under the title: on what, with what and when.
        sections: With headings; an HTML page of several begins with links to them.
        glossary: Terms with their meaning, at the end of an HTML page, folded.
    """

    facts: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    glossary_title: str = ''
    glossary: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_charts(self) -> list[Chart]:
        """The charts of the page and of its sections, in the order in which they are shown."""
        return [chart for part in (self, *self.sections) for chart in part.charts]


def number(value: float | None, digits: int = 1) -> str:
    """The number as text, with two significant digits or more; '-' for none."""
    if value is None:
        return '-'
    if digits and 0 < abs(value) < 1:
        return f'{value:.2g}'
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.{digits}f}'
