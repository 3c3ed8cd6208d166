"""The report of a run: one page that needs no network, its charts as PNG beside it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ninefold.host.bench.compare import Comparison
from ninefold.host.bench.records import Run
from ninefold.spec.errors import UnavailableError
from ninefold.spec.files import written_aside

__all__ = ["check", "write"]


def check() -> None:
    """Raise `UnavailableError` when matplotlib, which draws the charts, is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("matplotlib is not installed, which draws the report", "pip install 'ninefold[bench]'")


def write(run: Run, path: Path, comparison: Comparison | None = None, trace: Path | None = None) -> list[Path]:
    """Write the page, its figures as ``STEM.json`` and each chart as ``STEM-CHART.png``; return all paths.

    Parameters
    ----------
    run : Run
        What is shown.
    path : Path
        Of the page; what is there is replaced.
    comparison : Comparison, optional
        With an earlier run.
    trace : Path, optional
        A timeline in the Chrome trace format, which becomes part of the page.

    Raises
    ------
    UnavailableError
        matplotlib is not installed.
    """
    check()
    from .charts import charts
    from .page import page

    drawn = charts(run)
    timeline = None if trace is None else (trace.name, trace.read_bytes())
    contents: dict[Path, bytes] = {
        path: page(run, drawn, comparison, timeline).encode(),
        path.with_suffix(".json"): run.to_json().encode(),
    }
    contents |= {path.with_name(f"{path.stem}-{chart.name}.png"): chart.png for chart in drawn}
    for target, content in contents.items():
        with written_aside(target) as file:
            file.write_bytes(content)
    return list(contents)
