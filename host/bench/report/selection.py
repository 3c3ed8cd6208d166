"""Selection of the figures that each chart shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ninefold.host.bench.records import Run
from ninefold.spec.benchmark import Figure, Parameter

__all__ = [
    "Bar",
    "Point",
    "by_quantity",
    "drift",
    "fabric",
    "implementations",
    "recalls",
    "roof",
    "scaling",
    "stage_times",
    "under_the_roof",
]


@dataclass(frozen=True)
class Point:
    """Named point of a chart."""

    name: str
    x: float
    y: float


@dataclass
class Bar:
    """Row of bars: projected rates of the fabric and the measured rate of the host."""

    name: str
    projected: float
    engine: float | None = None
    measured: float | None = None
    sizes: Mapping[str, Parameter] = field(default_factory=dict)


def _where(run: Run, suite: str, test: Callable[[Figure], bool]) -> list[Figure]:
    return [figure for figure in run.suites.get(suite, ()) if test(figure)]


def by_quantity(run: Run, suite: str, case: str, quantity: str) -> list[Figure]:
    """Return the figures of one suite, case and quantity."""
    return _where(run, suite, lambda figure: (figure.case, figure.quantity) == (case, quantity))


def _searches(run: Run) -> list[Figure]:
    return by_quantity(run, "search", "search", "time")


def recalls(run: Run) -> dict[tuple[int, str, int], list[Point]]:
    """Return the milliseconds a query and the recall of each contender, by (rows, data, queries)."""
    found: dict[tuple[int, str, int], list[Point]] = {}
    recall = {
        (figure.subject, figure.parameters["rows"], figure.parameters["data"]): figure.value
        for figure in by_quantity(run, "search", "search", "recall@10")
    }
    for figure in _searches(run):
        rows, data, queries = (figure.parameters[name] for name in ("rows", "data", "queries"))
        reached = recall.get((figure.subject, rows, data))
        if reached is not None:
            point = Point(figure.subject, figure.value / float(queries), reached)
            found.setdefault((int(rows), str(data), int(queries)), []).append(point)
    return found


def scaling(run: Run) -> dict[int, dict[str, list[Point]]]:
    """Return rows and milliseconds a query, by number of queries and subject; subjects with one size are omitted."""
    found: dict[int, dict[str, list[Point]]] = {}
    for figure in _searches(run):
        rows, queries = int(figure.parameters["rows"]), int(figure.parameters["queries"])
        point = Point(figure.subject, rows, figure.value / queries)
        found.setdefault(queries, {}).setdefault(figure.subject, []).append(point)
    for lines in found.values():
        for name in [name for name, points in lines.items() if len({point.x for point in points}) < 2]:
            del lines[name]
    return {queries: lines for queries, lines in found.items() if lines}


def drift(run: Run, quantity: str) -> dict[str, list[Point]]:
    """Return a quantity of tiers in a drifting stream over its questions, by subject."""
    found: dict[str, list[Point]] = {}
    for figure in by_quantity(run, "tiers", "drift", quantity):
        until = float(figure.parameters["until"])
        found.setdefault(figure.subject, []).append(Point(figure.subject, until, figure.value))
    return found


def roof(run: Run) -> tuple[float, float] | None:
    """Return GB/s of memory and 10^9 int8 operations a second; None if either was not measured."""
    read = by_quantity(run, "search", "roof", "memory read")
    int8 = by_quantity(run, "search", "roof", "int8 rate")
    return (read[0].value, int8[0].value) if read and int8 else None


def under_the_roof(run: Run) -> dict[int, list[Point]]:
    """Return operations a byte and 10^9 operations a second of the devices, by number of queries."""
    moved = {
        (f.subject, *sorted(f.parameters.items())): f.value for f in by_quantity(run, "search", "search", "bytes read")
    }
    done = {
        (f.subject, *sorted(f.parameters.items())): f.value for f in by_quantity(run, "search", "search", "operations")
    }
    found: dict[int, list[Point]] = {}
    for figure in by_quantity(run, "search", "search", "rate"):
        key = (figure.subject, *sorted(figure.parameters.items()))
        if key in moved and key in done:
            name = f"{figure.subject}, {figure.parameters['rows']:,} rows"
            point = Point(name, done[key] / moved[key], figure.value)
            found.setdefault(int(figure.parameters["queries"]), []).append(point)
    return found


def implementations(run: Run) -> list[Point]:
    """Return LUT4 and fmax in MHz of cores and bitstreams."""
    cells: dict[tuple[object, ...], float] = {}
    clocks: list[tuple[tuple[object, ...], str, float]] = []
    for figure in run.suites.get("cores", ()):
        key = (figure.case, figure.subject, *sorted(figure.parameters.items()))
        if figure.quantity in ("LUT4", "LUT4 a lane"):
            cells[key] = figure.value * (float(figure.parameters.get("lanes", 1)) if "lane" in figure.quantity else 1)
        elif figure.quantity.startswith("fmax"):
            k = figure.parameters.get("k")
            clocks.append((key, figure.subject + ("" if k is None else f", k = {k}"), figure.value))
    return [Point(name, cells[key], mhz) for key, name, mhz in clocks if key in cells]


def fabric(run: Run) -> list[Bar]:
    """Return the projected queries a second of each board, and the host's on a database of the same size."""
    engines = {f.subject: f.value for f in by_quantity(run, "cores", "queries", "by the engine alone")}
    bars: list[Bar] = []
    for figure in by_quantity(run, "cores", "queries", "queries a second"):
        if figure.kind == "projected":
            bars.append(Bar(figure.subject, figure.value, engines.get(figure.subject), sizes=figure.parameters))
        else:
            for bar in bars:
                if bar.sizes == figure.parameters:
                    bar.measured = figure.value
    return bars


def stage_times(run: Run) -> dict[str, list[tuple[str, float]]]:
    """Return the stages of a question and their milliseconds, by device."""
    found: dict[str, list[tuple[str, float]]] = {}
    for figure in run.suites.get("stages", ()):
        if figure.case == "one question":
            found.setdefault(figure.subject, []).append((figure.quantity, figure.value))
    return found
