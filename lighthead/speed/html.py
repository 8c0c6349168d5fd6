"""report.html: one page that holds everything, readable on a phone and on a desk."""

import base64
from collections.abc import Mapping
from html import escape

from lighthead.speed.console import fact_lines
from lighthead.speed.record import FIELDS, Result, Table

STYLE = """
:root { color-scheme: light dark; --text: #1d2329; --soft: #5a646e; --line: #dfe3e8;
  --ground: #ffffff; --panel: #f5f7f9; --accent: #0b6e99; --good: #2b8a3e; --bad: #c92a2a; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --soft: #a3acb5; --line: #343b42;
  --ground: #14181c; --panel: #1d2329; --accent: #5bb8e0; --good: #69db7c; --bad: #ff8787; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 66rem; color: var(--text);
  background: var(--ground); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .4rem 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p, li { max-width: 46rem; }
.facts { background: var(--panel); border-radius: .5rem; padding: .8rem 1rem; color: var(--soft);
  font-size: .9rem; }
.facts div { margin: .15rem 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--panel); font-weight: 600; vertical-align: bottom;
  white-space: normal; }
th.text, td.text { text-align: left; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--ground); }
thead th:first-child { position: sticky; left: 0; z-index: 1; }
.note { color: var(--soft); font-size: .88rem; }
figure { margin: 1.4rem 0; }
figure img { width: 100%; height: auto; border-radius: .5rem; border: 1px solid var(--line);
  background: white; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .3rem; max-width: 46rem; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
details { margin-top: 2rem; } summary { cursor: pointer; color: var(--accent); }
dt { font-weight: 600; font-size: .88rem; margin-top: .4rem; } dd { margin: 0; font-size: .88rem; }
@media (max-width: 40rem) { body { padding: .8rem; } h1 { font-size: 1.3rem; }
  th, td { padding: .34rem .5rem; } table { font-size: .8rem; }
  tbody th { white-space: normal; min-width: 8rem; } }
@media print { .scroll { overflow: visible; } }
"""
VERDICTS = {'holds here': 'good', 'does not hold here': 'bad'}


def render_report(result: Result, images: Mapping[str, bytes]) -> str:
    """The page, with the PNGs of ``images`` (by picture name) inside it."""
    notes = ''.join(f'<li>{escape(note)}</li>' for note in result.notes)
    figures = ''.join(_figure(images[picture.name], picture.caption) for picture in result.pictures)
    fields = ''.join(
        f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in FIELDS.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(result.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(result.title)}</h1>
{_facts(result)}
{f'<ul>{notes}</ul>' if notes else ''}
{''.join(_table(table) for table in result.tables)}
{f'<h2>Pictures</h2>{figures}' if figures else ''}
<details><summary>The fields of results.json and results.csv</summary><dl>{fields}</dl></details>
</main>
</body>
</html>
"""


def _facts(result: Result) -> str:
    lines = fact_lines(result)
    return '<div class="facts">' + ''.join(f'<div>{escape(x)}</div>' for x in lines) + '</div>'


def _table(table: Table) -> str:
    head = ''.join(
        f'<th scope="col"{_text_class(index, table)}>{escape(column)}</th>'
        for index, column in enumerate(table.columns)
    )
    body = ''.join(f'<tr>{_cells(row, table)}</tr>' for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ''
    return (
        f'<section><h2>{escape(table.title)}</h2><div class="scroll" tabindex="0"><table>'
        f'<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}</section>'
    )


def _cells(row: list[str], table: Table) -> str:
    cells = [f'<th scope="row" class="text">{escape(row[0])}</th>']
    for index, cell in enumerate(row[1:], start=1):
        verdict = VERDICTS.get(cell)
        marked = f'<span class="{verdict}">{escape(cell)}</span>' if verdict else escape(cell)
        cells.append(f'<td{_text_class(index, table)}>{marked}</td>')
    return ''.join(cells)


def _text_class(index: int, table: Table) -> str:
    return ' class="text"' if index < table.text_columns else ''


def _figure(png: bytes, caption: str) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )
