"""Report of a run: one page that needs no network, and its charts as PNG files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ninefold.host.bench.compare import Comparison
from ninefold.host.bench.records import Run
from ninefold.spec.errors import UnavailableError
from ninefold.spec.files import written_aside

__all__ = ["check", "write"]


def check() -> None:
    """Raise `UnavailableError` if matplotlib, which draws the charts, is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("matplotlib, which draws the report, is not installed", "pip install 'ninefold[bench]'")


def write(run: Run, path: Path, comparison: Comparison | None = None, trace: Path | None = None) -> list[Path]:
    """Write the page, the record as ``STEM.json`` and each chart as ``STEM-CHART.png``; return all paths.

    Parameters
    ----------
    run : Run
        Record of the run.
    path : Path
        Path of the page; an existing file is replaced.
    comparison : Comparison, optional
        Comparison with an earlier run.
    trace : Path, optional
        Timeline in the Chrome trace format, which is embedded in the page.

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
