"""Result of an exploration, as a record for JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ninefold.hdl.boards import FpgaBoard
from ninefold.hdl.configurations import described
from ninefold.hdl.estimate_area import AVAILABLE
from ninefold.hdl.explore.built import measured, ratios
from ninefold.hdl.explore.front import by_compromise, nondominated
from ninefold.hdl.explore.objectives import Point
from ninefold.hdl.explore.space import PARAMETERS
from ninefold.hdl.explore.study import INSTALL, Exploration
from ninefold.spec.errors import InputError, not_installed
from ninefold.spec.files import written_aside

__all__ = ["PLOTS", "check_plot", "file_of", "plot", "ranked", "report", "write_configurations", "write_report"]

#: Suffixes of plots.
PLOTS: Final = (".svg", ".png")
#: Ratio of the largest to the smallest value above which an axis is logarithmic.
_DECADE: Final = 10


def file_of(name: str) -> str:
    """Return the file name of the configuration ``BOARD/CONFIG``."""
    return f"{name.replace('/', '-')}.json"


def ranked(exploration: Exploration) -> list[str]:
    """Return the names on the front, the best compromise first."""
    front = exploration.front()
    names = list(front)
    return [names[i] for i in by_compromise([exploration.costs(front[name]) for name in names])] if names else []


def write_configurations(exploration: Exploration, folder: Path) -> dict[str, Path]:
    """Write a file for each configuration on the front, and return their paths by name."""
    written = {}
    for name, point in exploration.front().items():
        written[name] = folder / file_of(name)
        with written_aside(written[name]) as aside:
            aside.write_text(described(name, point.configuration))
    return written


def report(exploration: Exploration) -> dict[str, Any]:
    """Return the complete report: inputs, trials, and the front with the results of its builds."""
    points = exploration.points()
    return {
        "board": exploration.space.board.name,
        "device": exploration.space.board.part,
        "objectives": [
            {"name": o.name, "direction": o.direction, "unit": o.unit, "meaning": o.meaning}
            for o in exploration.objectives
        ],
        "seed": exploration.seed,
        "searched": {name: list(exploration.space.values[name]) for name in exploration.space.searched},
        "trials": {
            "finished": exploration.finished,
            "different": len(points),
            "fitting": sum(not point.overuse for point in points.values()),
        },
        "space": {"choices": exploration.space.size, "whole": exploration.whole},
        "front": _front(exploration),
        "nearest": _nearest(points, exploration.space.board),
    }


def _nearest(points: Mapping[str, Point], board: FpgaBoard) -> dict[str, Any] | None:
    """Return the point closest to fitting the device, and its needs; None if any point fits."""
    if not points or any(not point.overuse for point in points.values()):
        return None
    point = min(points.values(), key=lambda point: point.overuse)
    return {"parameters": _parameters(point), "needs": point.area.excess(AVAILABLE[board.device])}


def _parameters(point: Point) -> dict[str, Any]:
    return {key: getattr(point.configuration.miner, key) for key in PARAMETERS}


def _front(exploration: Exploration) -> list[dict[str, Any]]:
    order = ranked(exploration)
    records: list[dict[str, Any]] = []
    for name, point in exploration.front().items():
        estimate = {o.name: o.value(point) for o in exploration.objectives}
        result = exploration.built.get(name)
        made = {} if result is None else measured(point, result, exploration.objectives)
        records.append(
            {
                "name": name,
                "file": file_of(name),
                "rank": order.index(name) + 1,
                "baud": point.configuration.baud,
                "parameters": _parameters(point),
                "estimate": estimate,
                "built": None if result is None else {**result, "values": made, "ratio": ratios(made, estimate)},
            }
        )
    _mark_built_front(exploration, records)
    return records


def _mark_built_front(exploration: Exploration, records: list[dict[str, Any]]) -> None:
    """Set ``on_front`` of each built record: false if another built configuration dominates it."""
    made = [record["built"] for record in records if record["built"] and "error" not in record["built"]]
    costs = [[o.cost(built["values"][o.name]) for o in exploration.objectives] for built in made]
    left = nondominated(costs)
    for index, built in enumerate(made):
        built["on_front"] = index in left


def check_plot(path: Path) -> None:
    """Raise an error unless a plot can be written there.

    Raises
    ------
    InputError
        The path does not end in one of ``PLOTS``.
    UnavailableError
        Matplotlib is not installed.
    """
    if path.suffix not in PLOTS:
        raise InputError(f"a plot must end in {' or '.join(PLOTS)}, not {path.name!r}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise not_installed("matplotlib", INSTALL) from error


def plot(exploration: Exploration, path: Path) -> None:
    """Plot the first two objectives of configurations that fit, of the front and of builds; the third sets the colour.

    The same exploration gives identical bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    x, y, *more = exploration.objectives
    front = _front(exploration)
    fitting = [point for point in exploration.points().values() if not point.overuse]
    with mpl.rc_context({"svg.hashsalt": "ninefold", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        xs, ys = ([o.value(point) for point in fitting] for o in (x, y))
        axes.scatter(xs, ys, s=12, c="0.75", label=f"estimated, fits the {exploration.space.board.device}")
        estimates = [[record["estimate"][o.name] for record in front] for o in (x, y)]
        if more:
            shade = axes.scatter(
                estimates[0],
                estimates[1],
                c=[r["estimate"][more[0].name] for r in front],
                s=40,
                label="front",
                zorder=3,
            )
            figure.colorbar(shade, label=f"{more[0].name} ({more[0].unit})")
        else:
            axes.plot(*estimates, "o-", color="C0", label="front", zorder=3)
        made = [r for r in front if r["built"] and r["built"]["values"]]
        for index, record in enumerate(made):
            ends = [(record["estimate"][o.name], record["built"]["values"][o.name]) for o in (x, y)]
            axes.plot(*ends, "-", color="C3", linewidth=1, zorder=2)
            axes.plot(ends[0][1], ends[1][1], "s", color="C3", label="built" if not index else None, zorder=4)
        for axis, objective, values in ((axes.xaxis, x, xs), (axes.yaxis, y, ys)):
            axis.set_label_text(f"{objective.name} ({objective.unit}), {objective.direction}")
            if values and min(values) > 0 and max(values) > _DECADE * min(values):
                axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axes.set_title(f"{exploration.space.board.name}: {', '.join(o.name for o in exploration.objectives)}")
        axes.grid(visible=True, alpha=0.3)
        figure.legend(loc="outside lower center", ncols=3)
        with written_aside(path) as aside:
            metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(aside, format=path.suffix[1:], dpi=150, metadata=metadata)


def write_report(exploration: Exploration, path: Path) -> Mapping[str, Any]:
    """Write the report as JSON, and return it."""
    found = report(exploration)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(found, indent=2) + "\n")
    return found
