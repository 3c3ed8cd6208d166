"""Cycles, cells and clock of the cores beside a register-array top-k, and projected queries a second of boards.

Run with ``ninefold bench cores``. Cycles are simulated and compared with the documented latencies. Cells and clock come
from the tools, or from the build cache. A board's queries a second are projected from counted cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ninefold.sim.verilated import Model, design, find_tools
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError, UnavailableError, installs, not_installed
from ninefold.spec.manifest import manifests
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend

if TYPE_CHECKING:
    from ninefold.hdl.configurations import Configuration

__all__ = ["cores"]


@dataclass(frozen=True)
class _Design:
    """Core to place and route.

    Attributes
    ----------
    core : str
        Name in the catalogue, or ``register array``.
    parameters : mapping
        Parameters of its constructor.
    beside : str
        Core to compare with.
    lut4, mhz : str
        Targets of cells and clock; the cells are LUT4 a lane if the core has lanes.
    """

    core: str
    parameters: Mapping[str, int]
    beside: str = ""
    lut4: str = ""
    mhz: str = ""


_ARRAY: Final = "register array"
_WIDTHS: Final = {"score_width": 16, "id_width": 10}
_DESIGNS: Final = (
    *(
        made
        for k, lut4, mhz in ((8, "<= 900", ">= 200"), (64, "", ">= 170"))
        for made in (_Design(_ARRAY, {"k": k, **_WIDTHS}), _Design("topk", {"k": k, **_WIDTHS}, _ARRAY, lut4, mhz))
    ),
    # The depth of the largest board.
    _Design("similarity", {"dimensions": 256, "lanes": 256, "depth": 1024}, lut4="<= 22", mhz=">= 150"),
)
#: Designs, and placement seeds of each.
_PLANS: Final[Mapping[Size, tuple[tuple[_Design, ...], int]]] = {
    "tiny": ((), 1),
    "small": (_DESIGNS, 1),
    "large": (_DESIGNS, 8),
}
#: Targets of the engine, without the link.
_FABRIC_TARGETS: Final = {"ulx3s/full": "> 110000"}
#: Queries a call and repetitions of the host, on databases of the boards' sizes.
_HOST_QUERIES, _REPETITIONS = 64, 15


def _measure(request: Request) -> list[Figure]:
    """Return cycles, cells and clocks, the manifests of bitstreams, and projected queries a second."""
    designs, seeds = _PLANS[request.size]
    figures = _cycles()
    if designs:
        try:
            figures += _implemented(designs, seeds, request.note)
        except UnavailableError as error:
            request.note(f"cores: nothing is placed and routed: {error}")
    figures += _built()
    figures += _boards(request)
    return figures


def _cycles() -> list[Figure]:
    """Count the cycles that the top-k core takes for another batch, and until its last result."""
    k, scores = 8, 1000
    model = Model(design("topk", {"k": k, **_WIDTHS}))
    used = {batches: _run(model, scores, k, batches) for batches in (1, 2)}
    model.close()
    added, waited, promised = used[2] - used[1], used[1] - scores, _component(_DESIGNS[1]).latency + k - 1
    if added != scores:
        raise DeviceError(
            f"the top-k core took {added} cycles for another {scores} scores; documented is one score a cycle"
        )
    if waited != promised:
        raise DeviceError(
            f"the top-k core's last result came {waited} cycles after the last score; documented are {promised}"
        )
    sizes: dict[str, Parameter] = {"k": k, "scores": scores}
    return [
        Figure(
            "cycles", "topk", "a score", added / scores, "cycles", sizes, kind="exact", better="less", target="<= 1"
        ),
        Figure(
            "cycles",
            "topk",
            "from the last score to the last result",
            waited,
            "cycles",
            sizes,
            kind="exact",
            better="less",
            detail="simulated without back-pressure; equals the documented latency",
        ),
    ]


def _run(model: Model, count: int, k: int, batches: int) -> int:
    rng = np.random.default_rng(1)
    total = count * batches
    last = (np.arange(total) % count == count - 1).astype(np.uint8)
    fields = {
        "score": rng.integers(-(2**15), 2**15, total).astype(np.int16),
        "id": (np.arange(total) % 1024).astype(np.uint16),
        "last": last,
    }
    return model.run({"scores": model.streams["scores"].pack(total, fields)}, {"results": k * batches}).cycles


def _implemented(designs: tuple[_Design, ...], seeds: int, note: Callable[[str], None]) -> Iterator[Figure]:
    """Place and route on an LFE5U-85F of speed grade 6, in a harness that excludes pads from the timing paths."""
    from ninefold.hdl.synthesis import implement

    note(f"cores: clocks are the best of {seeds} seed{'s' if seeds > 1 else ''}, timing paths exclude pads")
    seen: dict[tuple[str, str, int], float] = {}
    for made in designs:
        found = implement(_component(made), seeds=range(1, seeds + 1))
        # Cells by Yosys, before packing; divided by the lanes if the core has lanes.
        lanes = made.parameters.get("lanes", 1)
        measured = {
            "LUT4 a lane" if lanes > 1 else "LUT4": (found.resources.lut4 / lanes, "", made.lut4),
            "TRELLIS_COMB": (found.resources.trellis_comb, "", ""),
            "FF": (found.resources.ff, "", ""),
            "fmax": (found.best.fmax_mhz, "MHz", made.mhz),
        }
        parameters: dict[str, Parameter] = {**made.parameters, "seeds": seeds}
        for quantity, (value, unit, target) in measured.items():
            seen[made.core, quantity, made.parameters.get("k", 0)] = value
            # Cells and clock have absolute targets, so the register array is mentioned in the detail only.
            beside = seen.get((made.beside, quantity, made.parameters.get("k", 0)))
            better = "" if made.core == _ARRAY else "more" if quantity == "fmax" else "less"
            yield Figure(
                "ECP5-85F, speed 6",
                made.core,
                quantity,
                value,
                unit,
                parameters,
                kind="exact",
                better=better,  # type: ignore[arg-type]
                target=target,
                detail="" if beside is None else f"{made.beside}: {beside:,.4g} {unit}".rstrip(),
            )


def _component(made: _Design) -> Any:
    if made.core == _ARRAY:
        from ninefold.sim.bench.register_array import RegisterArrayTopK

        return RegisterArrayTopK(**made.parameters)
    from ninefold.hdl.catalogue import make_core

    return make_core(made.core, **made.parameters)


def _built() -> Iterator[Figure]:
    """Yield cells and clock from the committed manifests of bitstreams."""
    for name, manifest in manifests().items():
        parameters: dict[str, Parameter] = {"device": manifest.device}
        for cells, usage in manifest.resources.items():
            if cells in ("lut4", "ff", "TRELLIS_COMB", "ICESTORM_LC", "LUT4"):
                of = "" if usage.available is None else f"of {usage.available:,}"
                quantity = {"lut4": "LUT4", "ff": "FF"}.get(cells, cells)
                yield Figure("bitstream", name, quantity, usage.used, "", parameters, kind="exact", detail=of)
        # The slowest clock: a domain for a PLL's enable has a register or two.
        slowest = min(manifest.clocks.values(), key=lambda clock: clock.fmax_mhz)
        yield Figure(
            "bitstream",
            name,
            "fmax",
            slowest.fmax_mhz,
            "MHz",
            parameters,
            kind="exact",
            better="more",
            target=f">= {slowest.constraint_mhz:g}",
        )


def _boards(request: Request) -> Iterator[Figure]:
    """Yield the projected queries a second of each board, and the host's measured ones on a database of that size."""
    from ninefold.hdl.configurations import CONFIGURATIONS
    from ninefold.hdl.estimate import speed

    chosen = {name: made for name, made in CONFIGURATIONS.items() if not name.startswith("virtual/")}
    host = backend("cpu").open()
    for name, made in chosen.items():
        p, found, known = made.miner, speed(made), manifests().get(name)
        sizes: dict[str, Parameter] = {"rows": p.depth, "dimensions": p.dimensions}
        sizes |= {"keep": p.keep} if p.design == "signs" else {"k": p.k}
        held = "not built yet" if known is None else "its bitstream reaches that" if known.timing_met else known.missed
        rest: dict[str, Any] = {"parameters": sizes, "kind": "projected"}
        clock = f"at {p.clock_hz / 1e6:g} MHz: {held}"
        yield Figure("queries", name, "queries a second", found.queries_s, "1/s", better="more", detail=clock, **rest)
        engine = p.clock_hz / found.engine_cycles
        target = _FABRIC_TARGETS.get(name, "")
        yield Figure("queries", name, "by the engine alone", engine, "1/s", better="more", target=target, **rest)
        yield Figure("queries", name, "cycles a query", found.interval_cycles, "cycles", better="less", **rest)
        yield Figure("queries", name, "link busy", found.link_share, "", **rest)
        if request.size == "tiny" and p.depth > 256:
            continue
        yield Figure.timed(
            "queries",
            "cpu",
            "queries a second",
            _host_rates(host, made),
            "1/s",
            parameters=sizes,
            detail=f"measured, {_HOST_QUERIES} queries a call",
        )
    host.close()


def _host_rates(host: Any, made: Configuration) -> list[float]:
    p = made.miner
    rng = np.random.default_rng(3)
    packed = rng.integers(0, 5, (p.depth, p.dimensions // 2), np.uint8)
    attributes: dict[str, int | float | str] = {
        "rows": p.depth,
        "dimensions": p.dimensions,
        "scale": 0.5,
        "mode": p.mode,
    }
    q = rng.standard_normal((_HOST_QUERIES, p.dimensions), np.float32)
    database = Database({"nits": packed}, attributes)
    host.load(database)
    name, options = ("candidates", {"keep": p.keep}) if p.design == "signs" else ("mine", {"k": p.k})
    call = OPERATORS[name].bind({"q": q, "database": database}, options)
    rates = []
    for _ in range(_REPETITIONS + 1):
        start = perf_counter()
        host.run(call)
        rates.append(_HOST_QUERIES / (perf_counter() - start))
    return rates[1:]


def _check() -> object:
    import importlib.util

    if importlib.util.find_spec("amaranth") is None:
        raise not_installed("amaranth", installs("rtl"))
    return find_tools()


#: Suite that measures the cores.
cores = Benchmark(_measure, _check)
