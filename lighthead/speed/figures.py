"""How the pictures look: colours, PNG files, and the few kinds of plot that are needed."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lighthead.speed.record import Picture

COLOURS = (
    *('#0b6e99', '#d9480f', '#2b8a3e', '#862e9c', '#c99700', '#495057'),
    *('#e64980', '#1098ad', '#7a4419', '#5c940d', '#364fc7'),
)
"""Told apart on white, by most colour-blind readers too; shapes differ as well."""
MARKERS = 'osD^vPX*<>hp'
STYLE = {
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
}
DPI = 150


def render(picture: Picture) -> bytes:
    """The picture as a PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=picture.size, layout='constrained', facecolor='white')
        picture.draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format='png', dpi=DPI)
    return buffer.getvalue()


def save_all(pictures: Sequence[Picture], folder: Path) -> dict[str, bytes]:
    """Write every picture into the folder; the PNGs by name."""
    images = {picture.name: render(picture) for picture in pictures}
    for name, content in images.items():
        (folder / f'{name}.png').write_bytes(content)
    return images


def grouped_bars(
    axes: Axes,
    groups: Sequence[str],
    series: Sequence[tuple[str, Sequence[float | None]]],
    errors: Sequence[Sequence[tuple[float, float] | None]] | None = None,
) -> None:
    """Bars side by side: one group per entry of ``groups``, one colour per series.

    ``errors``: for each series the (low, high) ends of each bar's error line.
    """
    width = 0.8 / max(1, len(series))
    for index, (label, values) in enumerate(series):
        offset = (index - (len(series) - 1) / 2) * width
        places = [place + offset for place, value in enumerate(values) if value is not None]
        heights = [value for value in values if value is not None]
        bars_errors = None
        if errors is not None:
            ends = [end for end, value in zip(errors[index], values, strict=True) if value]
            lows = [max(0.0, height - end[0]) for height, end in zip(heights, ends, strict=True)]
            highs = [max(0.0, end[1] - height) for height, end in zip(heights, ends, strict=True)]
            bars_errors = [lows, highs]
        axes.bar(
            places,
            heights,
            width * 0.92,
            label=label,
            color=COLOURS[index % len(COLOURS)],
            yerr=bars_errors,
            error_kw={'elinewidth': 1, 'ecolor': '#343a40', 'capsize': 2},
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(axis='x', visible=False)
