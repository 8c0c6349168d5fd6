"""Charts as PNG files, drawn with matplotlib."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lighthead.report.page import Bars, Chart, Heatmap, Interval, Lines

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

COLOURS = (
    *('#0b6e99', '#d9480f', '#2b8a3e', '#862e9c', '#c99700', '#495057'),
    *('#e64980', '#1098ad', '#7a4419', '#5c940d', '#364fc7'),
)
"""Distinguishable on white, by most colour-blind readers too; shapes differ as well."""
REST, LINE = '#adb5bd', '#343a40'
MARKERS = 'osD^vPX*<>hp'
STYLE: 'dict[RcKeyType, Any]' = {
    'font.size': 11,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e3e6ea',
    'axes.edgecolor': '#8a929a',
    'axes.titlelocation': 'left',
    'axes.titleweight': 'bold',
    'axes.titlesize': 12,
    'legend.frameon': False,
    'legend.fontsize': 9.5,
    'text.parse_math': False,
}
DPI = 150
LONGEST_LABEL = 60
"""Characters in a line of a name."""
BAR = 0.8
"""Width of a group of bars; groups are 1 apart."""


def label_text(text: str) -> str:
    """A name as a chart can show it.

    Lone surrogates become escapes, long lines end in ``...``, and ``_x``, which matplotlib
    leaves out of legends, begins with a space.
    """
    lines = text.encode('utf-8', 'backslashreplace').decode().split('\n')
    text = '\n'.join(
        line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 3] + '...' for line in lines
    )
    return f' {text}' if text.startswith('_') else text


def render(chart: Chart) -> bytes:
    """The chart as a PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=chart.size, layout='constrained', facecolor='white')
        shape = len(chart.panels), len(chart.panels[0])
        share_y = isinstance(chart.panels[0][0], Bars)
        grid = figure.subplots(*shape, squeeze=False, sharey=share_y)
        for line, panels in enumerate(chart.panels):
            for place, panel in enumerate(panels):
                axes = grid[line][place]
                if isinstance(panel, Lines):
                    _lines(axes, panel)
                elif isinstance(panel, Heatmap):
                    _heatmap(axes, panel)
                else:
                    _bars(axes, panel, chart)
                _finish_axes(axes, chart, panel.title, line == shape[0] - 1, place == 0)
        if chart.horizontal:
            grid[0][0].invert_yaxis()
        handles, labels = grid[0][0].get_legend_handles_labels()
        if len(labels) > 1:
            columns = min(len(labels), max(2, int(chart.size[0] / 1.9)))
            figure.legend(handles, labels, loc='outside lower center', ncols=columns)
        buffer = io.BytesIO()
        figure.savefig(buffer, format='png', dpi=DPI)
    return buffer.getvalue()


def _finish_axes(axes: Axes, chart: Chart, title: str, is_last: bool, is_first: bool) -> None:
    axes.set_title(label_text(title))
    axes.set_xlabel(label_text(chart.xlabel if is_last else ''))
    axes.set_ylabel(label_text(chart.ylabel if is_first else ''))
    if chart.reference is not None:
        line = axes.axvline if chart.horizontal else axes.axhline
        line(chart.reference, color=LINE, linewidth=1, linestyle='--')
    for name in chart.log:
        axes.set(**{f'{name}scale': 'log'})
        _plain_ticks(axes.xaxis if name == 'x' else axes.yaxis)


def _plain_ticks(axis: Axis) -> None:
    """Numbers such as 40 and 0.5 at the ticks of a logarithmic axis, not powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axis.set_minor_formatter(NullFormatter())


def _bars(axes: Axes, panel: Bars, chart: Chart) -> None:
    starts = [0.0] * len(panel.groups)
    width = BAR if chart.stacked else BAR / len(panel.series)
    for index, (label, values) in enumerate(panel.series.items()):
        offset = 0 if chart.stacked else (index - (len(panel.series) - 1) / 2) * width
        there = [place for place, value in enumerate(values) if value is not None]
        heights = [value for value in values if value is not None]
        begins = 'left' if chart.horizontal else 'bottom'
        style: dict[str, Any] = {begins: [starts[place] for place in there]}
        style['color'] = REST if label == 'others' else COLOURS[index % len(COLOURS)]
        bars = (axes.barh if chart.horizontal else axes.bar)(
            [place + offset for place in there],
            heights,
            width * 0.92,
            label=label_text(label),
            **style,
        )
        if label in panel.ends:
            ends = [panel.ends[label][place] for place in there]
            _error_lines(axes, there, offset, heights, ends, chart.horizontal)
        if chart.labelled:
            texts = [f'{value:.0f}' if value >= 5 else '' for value in heights]
            axes.bar_label(bars, texts, label_type='center', color='white', fontsize=10)
        if chart.stacked:
            starts = [start + (value or 0) for start, value in zip(starts, values, strict=True)]
    set_ticks = axes.set_yticks if chart.horizontal else axes.set_xticks
    set_ticks(range(len(panel.groups)), map(label_text, panel.groups))
    axes.grid(axis='y' if chart.horizontal else 'x', visible=False)


def _error_lines(
    axes: Axes,
    places: Sequence[int],
    offset: float,
    heights: Sequence[float],
    ends: Sequence[Interval | None],
    horizontal: bool,
) -> None:
    for place, height, end in zip(places, heights, ends, strict=True):
        if end is None:
            continue
        error: Any = [[max(0.0, height - end[0])], [max(0.0, end[1] - height)]]
        point = (height, place + offset) if horizontal else (place + offset, height)
        axes.errorbar(
            *point,
            **{'xerr' if horizontal else 'yerr': error},
            fmt='none',
            elinewidth=1,
            ecolor=LINE,
            capsize=2,
        )


def _lines(axes: Axes, panel: Lines) -> None:
    for index, (label, points) in enumerate(panel.series.items()):
        stands_out = label == panel.emphasised
        if points:
            axes.plot(
                *zip(*sorted(points), strict=True),
                marker=MARKERS[index % len(MARKERS)] if panel.markers else '',
                markersize=8 if stands_out else 6,
                linewidth=2 if stands_out else 1,
                color=COLOURS[index % len(COLOURS)],
                label=label_text(label),
                zorder=3 if stands_out else 2,
            )
    if panel.unit_square:
        axes.set(xlim=(0, 1), ylim=(0, 1.02))


def _heatmap(axes: Axes, panel: Heatmap) -> None:
    values = [[math.nan if value is None else value for value in row] for row in panel.values]
    axes.imshow(values, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    axes.set_xticks(range(len(panel.columns)), map(label_text, panel.columns), rotation=40)
    for tick in axes.get_xticklabels():
        tick.set(ha='right', rotation_mode='anchor')
    axes.set_yticks(range(len(panel.rows)), map(label_text, panel.rows))
    axes.grid(visible=False)
    for row, texts in enumerate(panel.texts):
        for column, text in enumerate(texts):
            is_dark = (panel.values[row][column] or 0) > 0.6
            colour = 'white' if is_dark else LINE
            axes.text(column, row, text, ha='center', va='center', color=colour, fontsize=9)
