"""HTML page of a report, with its style, charts and tables in one file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from ninefold.host.bench.compare import Change, Comparison
from ninefold.host.bench.records import Run
from ninefold.host.bench.tables import (
    BESIDE_PEERS,
    TargetReached,
    described,
    quantity,
    ratio,
    shown,
    targets,
    tasks,
    verdict,
    worsening,
)
from ninefold.spec.benchmark import Figure
from ninefold.spec.text import counted

from .charts import Chart

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1d1f21; --dim: #5d646b; --line: #d8dcdf; --card: #f6f7f8;
  --good: #0a7a3d; --bad: #b3261e; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --text: #e4e6e8; --dim: #9aa3ab; --line: #3a4047; --card: #1c2025; --good: #58c98a;
    --bad: #ff8a80; --link: #7db8f0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; } h2 { font-size: 1.25rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 0; }
a { color: var(--link); } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 34rem; margin: 0 auto; }
figcaption { font-size: 0.85rem; color: var(--dim); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; margin: 0.5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; }
th, td { text-align: left; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
@media (max-width: 30rem) { th, td { padding: 0.3rem 0.4rem; } }
th { font-weight: 600; background: var(--card); white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.part td { background: var(--card); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
summary { cursor: pointer; padding: 0.4rem 0; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0; font-size: 0.875rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def page(run: Run, charts: Sequence[Chart], comparison: Comparison | None, timeline: tuple[str, bytes] | None) -> str:
    """Return the report as an HTML page.

    Parameters
    ----------
    run : Run
        Record of the run.
    charts : sequence of Chart
        Charts in the order of their sections.
    comparison : Comparison or None
        Comparison with an earlier run.
    timeline : tuple of str and bytes, or None
        Name and content of a file in the Chrome trace format, which the page offers for download.
    """
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>Ninefold benchmark, {escape(run.date[:10])}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        "<h1>Ninefold benchmark</h1>",
        _about(run),
        _tasks(run),
        *([_regressions(comparison)] if comparison is not None else []),
        _targets(run),
    ]
    for section, drawn in groupby(charts, key=lambda chart: chart.section):
        parts.append(f'<h2>{escape(section)}</h2>\n<div class="charts">{"".join(map(_chart, drawn))}</div>')
        if section == "Time of each stage" and timeline is not None:
            parts.append(_timeline(*timeline))
    parts.append("<h2>All figures</h2>")
    parts += [_suite(name, figures) for name, figures in run.suites.items()]
    return "\n".join([*parts, "</body>\n</html>\n"])


def _about(run: Run) -> str:
    m = run.machine
    rows = {
        "date": f"{run.date}; size {run.size}",
        "machine": f"{m.processor}, {counted(m.processors, 'processor')}, {m.memory_bytes / 2**30:.1f} GiB; "
        f"governor {m.governor}",
        "system": f"{m.system}; Python {m.python}",
        "threads": f"{run.threads}, for devices and peers",
        "sources": run.commit or "installed; the commit is unknown",
        "packages": ", ".join(f"{name} {version}" for name, version in run.packages.items()),
    }
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    notes = [*run.notes, *(f"{name} was skipped: {why}" for name, why in run.left_out.items())]
    said = "".join(f"<li>{escape(text)}</li>" for text in notes)
    folded = f"<details><summary>Notes ({len(notes)})</summary><ul>{said}</ul></details>" if notes else ""
    return f"<dl>{listed}</dl>{folded}"


def _tasks(run: Run) -> str:
    """Return the table beside the best peers, one row a task; empty if no suite has one."""
    listed = tasks(run.suites)
    if not listed:
        return ""
    headings = ("task", "ours", "best peer", "ratio", "target", "")
    return f"<h2>{BESIDE_PEERS}</h2>{_table(headings, map(_task, listed))}"


def _task(figure: Figure) -> str:
    colour = {True: "good", False: "bad", None: "dim"}[figure.met]
    detail = f'<br><span class="dim">{escape(figure.detail)}</span>' if figure.detail else ""
    return (
        f"<tr><td>{escape(figure.task)}{detail}</td>"
        f"<td>{escape(figure.subject)}: {escape(figure.quantity)} {escape(quantity(figure))}</td>"
        f'<td>{escape(figure.beside)}</td><td class="number">{escape(ratio(figure))}</td>'
        f'<td class="number">{escape(figure.target)}</td><td class="{colour}">{escape(verdict(figure))}</td></tr>'
    )


def _regressions(found: Comparison) -> str:
    changed = sorted((c for c in found.changes if c.verdict != "same"), key=lambda change: -change.worse)
    text = f'<p class="{"bad" if found.regressions else "good"}">{escape(found.summary)}</p>'
    said = "".join(f"<li>{escape(note)}</li>" for note in (*found.notes, *(f"missing: {name}" for name in found.gone)))
    table = _table(("figure", "earlier", "now", "worse by", "noise"), map(_change, changed)) if changed else ""
    return f"<h2>Changes since the earlier run</h2>{text}{table}" + (f"<ul>{said}</ul>" if said else "")


def _change(change: Change) -> str:
    new = change.new
    against = f", x {new.beside}" if new.beside else ""
    name = f"{change.suite}: {new.case}, {new.subject}, {new.quantity}{against}"
    colour = "bad" if change.verdict == "regression" else "good"
    cells = (shown(change.old.judged), shown(new.judged), worsening(change.worse), f"{100 * change.threshold:.0f} %")
    numbers = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
    sizes = f'<br><span class="dim">{escape(described(new.parameters))}</span>'
    return f'<tr class="{colour}"><td>{escape(name)}{sizes}</td>{numbers}</tr>'


def _targets(run: Run) -> str:
    aimed = targets(run.suites)
    if not aimed:
        return ""
    met = sum(target.figure.met is True for target in aimed)
    table = _table(("figure", "reached", "target"), map(_target, aimed))
    return f"<h2>Targets</h2><p>{met} of {len(aimed)} met in this run.</p>{table}"


def _target(target: TargetReached) -> str:
    name, reached, figure = target
    colour, mark = ("good", "met") if figure.met else ("bad", "missed")
    return (
        f'<tr><td>{escape(name)}<br><span class="dim">{escape(described(figure.parameters))}</span></td>'
        f'<td class="{colour}">{escape(reached)} ({mark})</td><td class="number">{escape(figure.target)}</td></tr>'
    )


def _chart(chart: Chart) -> str:
    label = escape(f"{chart.section}: {chart.title}. {chart.caption}", quote=True)
    svg = chart.svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return (
        f'<figure id="{chart.name}"><h3>{escape(chart.title)}</h3>{svg}'
        f"<figcaption>{escape(chart.caption)}</figcaption></figure>"
    )


def _timeline(name: str, content: bytes) -> str:
    data = base64.b64encode(content).decode()
    return (
        f'<p>Timeline of all calls of these questions: <a download="{escape(name, quote=True)}" '
        f'href="data:application/json;base64,{data}">download it</a> and open it in '
        '<a href="https://ui.perfetto.dev">Perfetto</a>, which does not upload it.</p>'
    )


def _suite(name: str, figures: Sequence[Figure]) -> str:
    rows = []
    for (case, sizes), group in groupby(figures, lambda figure: (figure.case, described(figure.parameters))):
        rows.append(
            f'<tr class="part"><td colspan="4">{escape(case)} <span class="dim">{escape(sizes)}</span></td></tr>'
        )
        rows += map(_figure, group)
    table = _table(("figure", "value", "beside a peer", "target"), rows)
    return f"<details><summary>{escape(name)} ({counted(len(figures), 'figure')})</summary>{table}</details>"


def _figure(figure: Figure) -> str:
    colour = {True: " good", False: " bad", None: ""}[figure.met]
    detail = f'<br><span class="dim">{escape(figure.detail)}</span>' if figure.detail else ""
    beside = "" if figure.ratio is None else f"{shown(figure.ratio)} x {figure.beside}"
    return (
        f"<tr><td>{escape(figure.subject)}: {escape(figure.quantity)}{detail}</td>"
        f'<td class="number{colour}">{escape(quantity(figure))}</td><td>{escape(beside)}</td>'
        f'<td class="number">{escape(figure.target)}</td></tr>'
    )


def _table(headings: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'
