"""Table and picture of ``tools/speed.py breakdown``."""

from matplotlib.figure import Figure

from lighthead.speed.breakdown import KINDS
from lighthead.speed.figures import COLOURS
from lighthead.speed.record import Picture, Result, Table

KIND_COLOURS = (*COLOURS[:5], COLOURS[6])


def present(result: Result) -> None:
    """Fill in table, picture and notes from the measurements."""
    if not result.measurements:
        return
    result.tables += [_table(result, in_percent=True), _table(result, in_percent=False)]
    result.pictures.append(_picture(result))
    result.notes.append(
        'The paper gives Figure 2 as a picture without numbers. Its finding: convolution takes '
        'most of the time, but data movement, shuffle and element-wise operations, which count '
        'no FLOPs, take a considerable part.'
    )


def _table(result: Result, in_percent: bool) -> Table:
    lines = []
    for row in result.measurements:
        scale = 100 if in_percent else row['ms_median']
        values = [row['shares'][kind] * scale for kind in KINDS]
        text = [f'{value:.1f}' if in_percent else f'{value:.2f}' for value in values]
        total = f'{sum(values):.1f}' if in_percent else f'{sum(values):.2f}'
        lines.append([row['name'], *text, total])
    title = 'Runtime shares in %' if in_percent else 'Milliseconds per batch'
    first = result.measurements[0]
    note = (
        f'Batch {first["batch"]}, {first["threads"]} thread(s). The profiler slows small '
        'operations down, so its shares lean towards networks of many of them; they divide the '
        'time measured without it. Others: what no kernel accounts for, that is Python, torch '
        'choosing kernels, and memory being allocated.'
    )
    return Table(title, ['network', *KINDS, 'sum'], lines, note)


def _picture(result: Result) -> Picture:
    rows = result.measurements

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        names = [row['name'] for row in rows]
        left = [0.0] * len(rows)
        for index, kind in enumerate(KINDS):
            values = [100 * row['shares'][kind] for row in rows]
            colour = '#adb5bd' if kind == 'others' else KIND_COLOURS[index]
            axes.barh(names, values, left=left, color=colour, label=kind, height=0.62)
            for place, value in enumerate(values):
                if value >= 5:
                    axes.text(
                        left[place] + value / 2,
                        place,
                        f'{value:.0f}',
                        ha='center',
                        va='center',
                        color='#212529' if kind == 'others' else 'white',
                        fontsize=10,
                    )
            left = [start + value for start, value in zip(left, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel('share of the time in %')
        axes.grid(axis='y', visible=False)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=4)

    caption = 'Runtime by kind of operation, as in Figure 2 of the paper; grey: others.'
    return Picture('breakdown', caption, draw, (9.0, 1.9 + 0.75 * len(rows)))
